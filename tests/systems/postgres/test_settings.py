"""Valid and invalid expectations about settings."""

import pytest
from pydantic import ValidationError

from opscheck import PostgresTarget, Severity
from opscheck.systems.postgres.server import ListDatabases
from opscheck.systems.postgres.settings import (
    ListCollations,
    ListExtensions,
    ListFileErrors,
    PostgresSettings,
    ReadServerState,
    ReadSettings,
)
from opscheck.testing import expect

TARGET = PostgresTarget(kind="postgres", dsn="postgresql://someone@127.0.0.1/shop")


def made(**fields) -> PostgresSettings:
    return expect(PostgresSettings, TARGET, **({"severity": "P2"} | fields))


def refusal(**fields) -> str:
    with pytest.raises(ValidationError) as error:
        made(**fields)
    return "\n".join(one["msg"] for one in error.value.errors())


def test_group_is_required():
    assert "at least one limit (settings, pending_restart, " in refusal()


@pytest.mark.parametrize("group", ["pending_restart", "checksums", "collations", "invalid_databases"])
def test_disabled_group_does_not_count(group):
    assert "at least one limit" in refusal(**{group: False})


@pytest.mark.parametrize("fields", [{"settings": {}}, {"extensions": {}}])
def test_empty_group_is_rejected(fields):
    assert "at least 1 item" in refusal(**fields)


def test_severity_is_required_without_own_severities():
    assert "`severity`" in refusal(severity=None, checksums=True)


def test_item_can_have_its_own_severity():
    expectation = made(
        severity="P3",
        settings={"fsync": {"equals": True, "severity": "P1"}},
        checksum_failures="P0",
        pending_restart=True,
    )

    assert Severity.P0 == expectation.severity_of(expectation.checksum_failures)
    assert Severity.P3 == expectation.severity_of(expectation.pending_restart)
    assert (Severity.P0, Severity.P3) == (expectation.worst_severity, expectation.ungraded_severity)


@pytest.mark.parametrize("value", [True, "on", 100, 0.5, -1, "4MB", ""])
def test_plain_value_means_equals(value):
    (rule,) = made(settings={"name": value}).settings.values()

    assert ("equals", value, type(value)) == (rule.operator, rule.operand, type(rule.operand))


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ({}, "exactly one of equals, other_than, one_of, at_least, at_most"),
        ({"severity": "P1"}, "exactly one of"),
        ({"at_least": 1, "at_most": 2}, "exactly one of"),
        ({"at_least": "5m"}, "one of PostgreSQL's units: B, kB"),
        ({"at_most": "many"}, "a number, with one of"),
        ({"at_most": True}, "a number, with a unit"),
        ({"one_of": []}, "at least 1 item"),
        ({"is": "on"}, "not permitted"),
    ],
)
def test_invalid_rule_is_rejected(rule, why):
    assert why in refusal(settings={"work_mem": rule})


@pytest.mark.parametrize("version", ["", "latest", "> 3", "<= 3.4", ">="])
def test_invalid_version_is_rejected(version):
    assert "`any`, a version such as" in refusal(extensions={"postgis": version})


def test_only_groups_cause_queries():
    where = "target"

    assert [ReadSettings(where, ("fsync", "timezone"))] == list(
        made(settings={"TimeZone": "UTC", "fsync": 1}).queries()
    )
    assert [ReadSettings(where)] == list(made(pending_restart=True).queries())
    assert [ListFileErrors(where)] == list(made(configuration_files=True).queries())
    assert [ReadServerState(where)] == list(made(checksums=True).queries())
    assert [ReadServerState(where), ListCollations(where)] == list(made(collations=True).queries())
    assert [ListExtensions(where, "a"), ListExtensions(where, "b")] == list(
        made(outdated_extensions=True, databases=["a", "b"]).queries()
    )
    assert [ListDatabases(where)] == list(made(extensions={"a": "any"}, databases=["*"]).queries())
    assert [ReadServerState(where)] == list(made(checksums=True, databases=["*"]).queries())


def test_setting_with_fallback_queries_both():
    (query,) = made(settings={"autovacuum_work_mem": "64MB"}).queries()

    assert ("autovacuum_work_mem", "maintenance_work_mem") == query.names


def test_required_rights_are_listed():
    rights = [
        one.text()
        for query in made(settings={"fsync": 1}, configuration_files=True).queries()
        for one in query.permissions()
    ]

    assert [
        "GRANT pg_read_all_settings",
        "GRANT SELECT ON pg_file_settings and pg_hba_file_rules, EXECUTE on the functions behind them",
    ] == [text.partition(":")[0] for text in rights]
