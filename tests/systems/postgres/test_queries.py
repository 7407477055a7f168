"""Valid and invalid expectations about statements."""

import pytest
from pydantic import ValidationError

from opscheck import PostgresTarget
from opscheck.systems.postgres.queries import CountStatements, PostgresQueries, ReadStatements
from opscheck.systems.postgres.server import ListDatabases
from opscheck.testing import expect

TARGET = PostgresTarget(kind="postgres", dsn="postgresql://someone@127.0.0.1/shop")


def made(**fields) -> PostgresQueries:
    return expect(PostgresQueries, TARGET, **(fields or {"mean": {"P3": "1s"}}))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"severity": "P1"}, r"at least one limit \(mean, share, load, evictions\)"),
        ({"share": {"P1": "100%"}}, "below 100%"),
        ({"mean": "1s"}, "`severity` for the plain limit"),
        ({"mean": {"P1": "1s"}, "min_calls": 0}, "greater than or equal to 1"),
        ({"mean": {"P1": "1s"}, "top": 101}, "less than or equal to 100"),
        ({"load": {"P1": "2"}}, "valid number"),
        ({"load": {"P1": True}}, "valid number"),
    ],
)
def test_limit_that_cannot_fail_is_rejected(fields, why):
    with pytest.raises(ValidationError, match=why):
        made(**fields)


def test_counters_are_remembered_and_texts_are_not():
    counters, texts = made().queries()

    assert (CountStatements("target"), ReadStatements("target")) == (counters, texts)
    assert (True, False) == (counters.remembered, texts.remembered)


def test_named_databases_are_listed_with_another_extension_in():
    asked = made(mean={"P3": "1s"}, databases=["shop*"], extension_in="postgres").queries()

    assert (
        CountStatements("target", "postgres"),
        ReadStatements("target", "postgres"),
        ListDatabases("target"),
    ) == asked


@pytest.mark.parametrize(
    ("database", "role", "meant"),
    [("shop", "app", True), ("shop_eu", "app", True), ("stock", "app", False), ("shop", "opscheck", False)],
)
def test_statements_are_selected_by_database_and_role(database, role, meant):
    assert meant == made(mean={"P3": "1s"}, databases=["shop*"]).means(database, role)


def test_required_right_is_listed():
    assert ["pg_read_all_stats"] * 2 == [one.permissions()[0].role for one in made().queries()]
