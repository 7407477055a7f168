"""Ages of databases and holders of dead rows, without a server."""

from datetime import UTC, datetime, timedelta

from checks.postgres.test_vacuum import test_vacuum_keeps_up as check
from opscheck import PostgresTarget
from opscheck.systems.postgres.vacuum import (
    FREEZE_XIDS,
    Ages,
    DatabaseAge,
    HolderKind,
    PostgresVacuum,
    XminHolder,
    XminHolders,
)
from opscheck.testing import expect, judge
from tests.servers.typed_commands import commands_of

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TARGET = PostgresTarget(kind="postgres", dsn="postgresql://h/shop")

SESSION = XminHolder(kind=HolderKind.SESSION, name="", age=10, database="shop", role="app", pid=7, since=NOON - HOUR)
PREPARED = XminHolder(kind=HolderKind.PREPARED, name="tx", age=20, database="shop", since=NOON - HOUR)
STANDBY = XminHolder(kind=HolderKind.STANDBY, name="replica", age=40, role="replicator", pid=9)


def test_time_of_a_holder_is_judged_if_known():
    expectation = expect(PostgresVacuum, TARGET, oldest_xmin={"P3": 35}, oldest_xmin_held={"P2": "30m"})
    holders = XminHolders(holders=(STANDBY, PREPARED, SESSION), clock=NOON)
    findings = judge(check, expectation, {expectation.holders: holders})

    assert [
        ("transactions held back", "standby replica"),
        ("time held back", "prepared transaction tx"),
        ("time held back", "session 7"),
    ] == [(one.name, one.subject) for one in findings.measurements]
    assert len(findings.violations) == 3


def test_database_without_connections_has_no_command():
    template = DatabaseAge(name="template0", xid_age=2**30, multixact_age=0, connectable=False)
    ages = Ages(databases=(template,), freeze_max_age=10, multixact_freeze_max_age=10)
    expectation = expect(PostgresVacuum, TARGET, xid_age={"P2": "40%"})
    findings = judge(check, expectation, {expectation.ages: ages})
    (number,) = findings.violations

    assert [50] == [one.value for one in findings.measurements]
    assert {} == number.facts
    assert number.remediation.commands == ()
    assert ("it accepts no connections: only autovacuum freezes it",) == number.evidence


def test_other_old_databases_are_evidence():
    databases = tuple(
        DatabaseAge(name=f"d{number}", xid_age=2**30 + number, multixact_age=2**29, connectable=True)
        for number in range(8)
    )
    ages = Ages(databases=databases, freeze_max_age=10, multixact_freeze_max_age=10)
    limits = {"xid_age": {"P2": "40%"}, "multixact_age": {"P2": "40%"}}
    expectation = expect(PostgresVacuum, TARGET, **limits)
    holders = XminHolders(holders=(STANDBY,), clock=NOON)
    findings = judge(check, expectation, {expectation.ages: ages, expectation.holders: holders})
    (xid,) = findings.violations

    assert ("database d7", {"database": "d7"}) == (xid.subject, xid.facts)
    assert ("also beyond the limit: d6 50%, d5 50%, d4 50%, d3 50%, d2 50% and 2 more",) == xid.evidence
    assert xid.remediation.commands == commands_of(FREEZE_XIDS)
    assert [one.name for one in findings.measurements] == ["xid age", "multixact age"]
