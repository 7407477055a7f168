"""Valid and invalid expectations about a WAL archive."""

import pytest
from pydantic import ValidationError

from opscheck import PostgresTarget, Severity
from opscheck.core.observation import Problem, ProblemKind
from opscheck.systems.postgres.archiver import PostgresArchiver
from opscheck.testing import expect

TARGET = PostgresTarget(kind="postgres", dsn="postgresql://someone@127.0.0.1/shop")
ON_STANDBY = Problem(kind=ProblemKind.ABSENT, text="this is a standby")


def archiver(**fields) -> PostgresArchiver:
    return expect(PostgresArchiver, TARGET, **fields)


def test_limit_is_required():
    with pytest.raises(ValidationError, match=r"at least one limit \(waiting, backlog, age\)"):
        archiver(severity="P1", on_standby="skip")


def test_missing_archive_has_the_worst_severity_or_the_policys():
    assert Severity.P1 == archiver(waiting={"P2": "5m", "P1": "15m"}).ungraded_severity
    assert Severity.P0 == archiver(waiting={"P2": "5m", "P1": "15m"}, severity="P0").ungraded_severity


def test_required_right_is_listed():
    (query,) = archiver(backlog={"P1": 100}).queries()

    assert ["pg_monitor"] == [grant.role for grant in query.permissions()]


def test_standby_is_skipped_only_by_policy():
    assert not archiver(backlog={"P1": 100}).does_not_apply(ON_STANDBY)
    assert archiver(backlog={"P1": 100}, on_standby="skip").does_not_apply(ON_STANDBY)


def test_denied_query_is_never_skipped():
    denied = Problem(kind=ProblemKind.DENIED, text="")

    assert not archiver(backlog={"P1": 100}, on_standby="skip").does_not_apply(denied)
