"""Valid and invalid expectations about vacuum."""

import pytest
from pydantic import ValidationError

from opscheck import PostgresTarget
from opscheck.systems.postgres.server import DatabaseNames, ListDatabases
from opscheck.systems.postgres.vacuum import ListTables, ListXminHolders, PostgresVacuum, ReadAges
from opscheck.testing import expect

TARGET = PostgresTarget(kind="postgres", dsn="postgresql://someone@127.0.0.1/shop")


def vacuum(**fields) -> PostgresVacuum:
    return expect(PostgresVacuum, TARGET, **fields)


def test_limit_is_required():
    with pytest.raises(ValidationError, match=r"at least one limit \(xid_age, multixact_age, freeze_lag"):
        vacuum(severity="P1")


@pytest.mark.parametrize("field", ["freeze_lag", "dead_rows", "stale_statistics"])
def test_limit_below_the_trigger_is_rejected(field):
    with pytest.raises(ValidationError, match="at least 100%: below that, vacuum is not due yet"):
        vacuum(**{field: {"P3": "90%"}})


def test_age_of_100_percent_is_rejected():
    with pytest.raises(ValidationError, match="a percentage below 100%"):
        vacuum(xid_age={"P0": "100%"})


def test_time_limit_of_holders_needs_a_transaction_limit():
    with pytest.raises(ValidationError, match="`oldest_xmin` with `oldest_xmin_held`"):
        vacuum(oldest_xmin_held={"P2": "1h"})


def test_only_limits_cause_queries():
    assert [ReadAges("target")] == list(vacuum(xid_age={"P2": "40%"}).queries())
    assert [ListXminHolders("target")] == list(vacuum(oldest_xmin={"P2": 1000}).queries())
    assert [ListTables("target", None, min_rows=500)] == list(vacuum(dead_rows={"P3": "200%"}, min_rows=500).queries())


def test_server_limits_cause_no_database_queries():
    there = DatabaseNames(names=("shop",), current="shop")

    assert [] == list(vacuum(xid_age={"P2": "40%"}, databases=["*"]).follow_up_queries(lambda _: there))


def test_each_matching_database_is_queried():
    there = DatabaseNames(names=("shop", "stock"), current="shop")
    expectation = vacuum(dead_rows={"P3": "200%"}, databases=["s*"])

    assert [ListDatabases("target")] == list(expectation.queries())
    assert ["shop", "stock"] == [query.database for query in expectation.follow_up_queries(lambda _: there)]


def test_holders_without_a_limit_are_evidence():
    assert ListXminHolders("target") in list(vacuum(dead_rows={"P3": "200%"}).evidence_queries())
    assert ListXminHolders("target") not in list(vacuum(oldest_xmin={"P2": 1000}).evidence_queries())


def test_only_holders_need_a_right():
    expectation = vacuum(xid_age={"P2": "40%"}, dead_rows={"P3": "200%"}, oldest_xmin={"P2": 1000})

    assert ["GRANT pg_read_all_stats"] == [
        permission.text().partition(":")[0] for query in expectation.queries() for permission in query.permissions()
    ]
