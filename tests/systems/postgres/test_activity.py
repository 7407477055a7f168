"""Valid and invalid expectations about client sessions."""

import pytest
from pydantic import ValidationError

from opscheck import PostgresTarget
from opscheck.systems.postgres.activity import Activity, Allowed, PostgresActivity
from opscheck.systems.postgres.sessions import Session
from opscheck.testing import expect

TARGET = PostgresTarget(kind="postgres", dsn="postgresql://someone@127.0.0.1/shop")


def activity(**fields) -> PostgresActivity:
    return expect(PostgresActivity, TARGET, **fields)


def session(**fields) -> Session:
    return Session(pid=1, **{"application": "etl-night", "role": "app"} | fields)


def test_limit_is_required():
    with pytest.raises(ValidationError, match=r"at least one limit \(query, transaction, idle_in_transaction\)"):
        activity(severity="P1")


def test_expectations_of_one_server_share_the_query():
    first, second = activity(query={"P1": "5m"}), activity(transaction={"P1": "1h"}, allow=[])

    assert (Activity("target"),) == first.queries() == second.queries()


@pytest.mark.parametrize("entry", [{}, {"application": "*"}, {"role": "**", "database": "*"}, {"at_most": "1h"}])
def test_entry_that_allows_every_session_is_rejected(entry):
    with pytest.raises(ValidationError, match="which would allow everything"):
        activity(query={"P1": "5m"}, allow=[entry])


def test_entry_without_time_is_rejected():
    with pytest.raises(ValidationError, match="longer than 0s"):
        activity(query={"P1": "5m"}, allow=[{"role": "etl", "at_most": "0s"}])


@pytest.mark.parametrize(
    ("entry", "covers"),
    [
        ({"application": "etl*"}, True),
        ({"application": "ETL*"}, False),
        ({"application": "etl*", "role": "app"}, True),
        ({"application": "etl*", "role": "etl"}, False),
        ({"database": "shop"}, False),
    ],
)
def test_every_pattern_of_an_entry_must_match(entry, covers):
    assert covers is Allowed(**entry).covers(session())


def test_dump_may_take_a_day_by_default():
    (dump, *_) = activity(query={"P1": "5m"}).allow

    assert (True, False) == (dump.covers(session(application="pg_dumpall")), dump.covers(session()))
    assert (True, False) == (dump.lets(86_400), dump.lets(86_401))
