"""What a policy may say of vacuum, and what it may not."""

import pytest
from pydantic import ValidationError

from opscheck import PostgresTarget
from opscheck.systems.postgres.server import DatabaseNames, ListDatabases
from opscheck.systems.postgres.vacuum import ListTables, ListXminHolders, PostgresVacuum, ReadAges
from opscheck.testing import expect

TARGET = PostgresTarget(kind="postgres", dsn="postgresql://someone@127.0.0.1/shop")


def vacuum(**fields) -> PostgresVacuum:
    return expect(PostgresVacuum, TARGET, **fields)


def test_a_limit_is_needed():
    with pytest.raises(ValidationError, match=r"at least one limit \(xid_age, multixact_age, freeze_lag"):
        vacuum(severity="P1")


@pytest.mark.parametrize("field", ["freeze_lag", "dead_rows", "stale_statistics"])
def test_what_is_normal_is_no_limit(field):
    with pytest.raises(ValidationError, match="at least 100%: until there, nothing has to be done yet"):
        vacuum(**{field: {"P3": "90%"}})


def test_an_age_that_cannot_be_exceeded_is_no_limit():
    with pytest.raises(ValidationError, match="a percentage below 100%"):
        vacuum(xid_age={"P0": "100%"})


def test_a_limit_in_time_needs_one_in_transactions_because_slots_and_standbys_do_not_say_since_when():
    with pytest.raises(ValidationError, match="`oldest_xmin` beside `oldest_xmin_held`"):
        vacuum(oldest_xmin_held={"P2": "1h"})


def test_only_what_has_a_limit_is_asked():
    assert [ReadAges("target")] == list(vacuum(xid_age={"P2": "40%"}).queries())
    assert [ListXminHolders("target")] == list(vacuum(oldest_xmin={"P2": 1000}).queries())
    assert [ListTables("target", None, min_rows=500)] == list(vacuum(dead_rows={"P3": "200%"}, min_rows=500).queries())


def test_nothing_is_asked_in_databases_where_only_the_server_has_limits():
    there = DatabaseNames(names=("shop",), current="shop")

    assert [] == list(vacuum(xid_age={"P2": "40%"}, databases=["*"]).follow_up_queries(lambda _: there))


def test_each_database_that_matches_is_asked():
    there = DatabaseNames(names=("shop", "stock"), current="shop")
    expectation = vacuum(dead_rows={"P3": "200%"}, databases=["s*"])

    assert [ListDatabases("target")] == list(expectation.queries())
    assert ["shop", "stock"] == [query.database for query in expectation.follow_up_queries(lambda _: there)]


def test_who_keeps_rows_is_asked_aside_where_it_has_no_limit():
    assert ListXminHolders("target") in list(vacuum(dead_rows={"P3": "200%"}).evidence_queries())
    assert ListXminHolders("target") not in list(vacuum(oldest_xmin={"P2": 1000}).evidence_queries())


def test_only_who_keeps_rows_needs_a_right():
    expectation = vacuum(xid_age={"P2": "40%"}, dead_rows={"P3": "200%"}, oldest_xmin={"P2": 1000})

    assert ["GRANT pg_read_all_stats"] == [
        permission.text().partition(":")[0] for query in expectation.queries() for permission in query.permissions()
    ]
