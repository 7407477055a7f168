"""The evaluation of releases, extensions and collations, without a server."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from checks.postgres.test_settings import test_server_is_configured_as_required as check
from opscheck import Findings, PostgresTarget, Severity
from opscheck.systems.postgres import releases
from opscheck.systems.postgres.server import NEWEST_KNOWN
from opscheck.systems.postgres.settings import (
    CREATE_EXTENSION,
    ChecksumFailures,
    Collations,
    DatabaseState,
    Extension,
    Extensions,
    ListCollations,
    ListExtensions,
    PostgresSettings,
    ReadServerState,
    ServerState,
)
from opscheck.testing import expect, judge
from tests.servers.looking import missing
from tests.servers.typed_commands import commands_of

TARGET = PostgresTarget(kind="postgres", dsn="postgresql://h/shop")
JUST_THEN = datetime(2026, 8, 13, tzinfo=UTC)


@pytest.fixture(name="known", autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fixed table of releases, so that these tests do not expire."""
    monkeypatch.setattr(releases, "KNOWN_ON", JUST_THEN.date())
    monkeypatch.setattr(releases, "NEWEST", {13: 23, 14: 24, 17: 11, 18: 6})


@pytest.fixture(name="judged")
def _judged() -> Callable[..., Findings]:
    def judged(*, now: datetime = JUST_THEN, version: int = 170_011, **fields: Any) -> Findings:
        state = {"checksums": True, "failures": (), "databases": ()} | fields.pop("state", {})
        answers = {
            ReadServerState("target"): ServerState(server_version=version, **state),
            ListExtensions("target"): Extensions(database="shop", extensions=fields.pop("there", ())),
            ListCollations("target"): Collations(database="shop", changed=()),
        }
        return judge(check, expect(PostgresSettings, TARGET, severity="P2", **fields), answers, now)

    return judged


def observed(findings: Findings) -> list[str]:
    return [finding.observed for finding in findings.violations]


# -- releases --------------------------------------------------------------------------------------------------------


def test_release_tables_have_every_supported_version(monkeypatch):
    monkeypatch.undo()

    assert set(range(12, NEWEST_KNOWN + 1)) == set(releases.NEWEST) == set(releases.END_OF_LIFE)


@pytest.mark.parametrize(
    ("now", "severity"),
    [("2029-05-01", None), ("2029-06-01", Severity.P3), ("2029-11-08", Severity.P3), ("2029-11-09", Severity.P1)],
)
def test_end_of_life_is_graded_by_the_time_left(judged, now, severity):
    limits = {"end_of_life": {"P3": "180d", "P1": "0d"}, "releases": {17: {"end_of_life": "2029-11-08"}}}
    findings = judged(now=datetime.fromisoformat(f"{now}T12:00:00Z"), **limits)

    assert [severity] * bool(severity) == [finding.severity for finding in findings.violations]


def test_end_of_life_of_the_policy_overrides(judged):
    late = datetime(2027, 1, 1, tzinfo=UTC)

    assert 1 == len(judged(now=late, version=140_024, end_of_life={"P1": "0d"}).violations)
    longer = {14: {"end_of_life": "2028-03-31"}}
    assert [] == judged(now=late, version=140_024, end_of_life={"P1": "0d"}, releases=longer).violations


def test_old_table_of_ends_of_life_is_unknown(judged):
    late = JUST_THEN + timedelta(days=731)

    assert "is from 2026-08-13, too old" in missing(lambda: judged(now=late, end_of_life={"P1": "0d"})).text
    assert 1 == len(judged(now=late, version=130_023, end_of_life={"P1": "0d"}).violations)


@pytest.mark.parametrize(
    ("version", "behind"), [(170_011, 0), (170_009, 2), (180_006, 0), (180_004, 1), (180_003, 2), (170_012, 0)]
)
def test_skipped_minor_releases_do_not_count(judged, version, behind):
    number, _ = judged(version=version, minor_releases_behind={"P3": 20}).measurements

    assert ("minor releases behind", behind) == (number.name, number.value)


def test_too_many_newer_minor_releases_are_violated(judged):
    (finding,) = judged(version=170_006, minor_releases_behind={"P3": 2, "P2": 4}).violations

    assert (Severity.P2, "PostgreSQL 17.6") == (finding.severity, finding.subject)
    assert "minor releases behind 5 (the newest known is 17.11)" == finding.observed


def test_old_table_of_minor_releases_is_unknown(judged):
    late = JUST_THEN + timedelta(days=184)
    problem = missing(lambda: judged(now=late, minor_releases_behind={"P3": 2}))

    assert "opscheck's table of minor releases is from 2026-08-13, too old for a pass" == problem.text
    assert "`newest_minor`" in problem.advice
    assert 1 == len(judged(now=late, version=170_001, minor_releases_behind={"P3": 2}).violations)
    known = {17: {"newest_minor": 13}}
    assert [] == judged(now=late, minor_releases_behind={"P3": 2}, releases=known).violations


@pytest.mark.parametrize("fields", [{"end_of_life": {"P1": "0d"}}, {"minor_releases_behind": {"P3": 2}}])
def test_unknown_version_is_unknown(judged, fields):
    assert "is unknown" in missing(lambda: judged(version=210_000, **fields)).text


# -- extensions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("installed", "wanted", "well"),
    [
        ("3.4.2", ">= 3.4", True),
        ("3.10", ">= 3.4", True),
        ("3.4", ">= 3.4.0", True),
        ("3.3.9", ">= 3.4", False),
        ("1.4", "1.4", True),
        ("1.40", "1.4", False),
        ("2.17.2-dev", ">=2.17", True),
        ("1.0", "any", True),
    ],
)
def test_versions_are_compared_by_number(judged, installed, wanted, well):
    there = (Extension(name="postgis", installed=installed, available=installed),)

    assert well == (not judged(there=there, extensions={"postgis": wanted}).violations)


def test_available_extension_has_a_command(judged):
    there = (Extension(name="postgis", installed=None, available="3.4"),)
    (finding,) = judged(there=there, extensions={"postgis": "any"}).violations

    assert ("not installed", {"database": "shop", "extension": "postgis"}) == (finding.observed, finding.facts)
    assert finding.remediation.commands == commands_of(CREATE_EXTENSION)


def test_extension_without_files_cannot_be_updated(judged):
    there = (Extension(name="postgis", installed="3.4", available=None),)
    (finding,) = judged(there=there, outdated_extensions=True).violations

    assert ("its files on the server", {}) == (finding.expected, finding.facts)
    assert finding.remediation.commands == ()


# -- data ------------------------------------------------------------------------------------------------------------


def test_checksum_failures_in_shared_catalogs_count(judged):
    state = {"failures": (ChecksumFailures(database=None, count=2, last=None),)}
    (finding,) = judged(state=state, checksum_failures="P0").violations

    assert (Severity.P0, "shared catalogs", "2 checksum failures") == (
        finding.severity,
        finding.subject,
        finding.observed,
    )


def database(name: str, **changed) -> DatabaseState:
    return DatabaseState(**({"name": name, "invalid": False, "collation": "C", "needs_version": False} | changed))


def test_collation_without_version_passes(judged):
    there = database("template0", recorded=None, actual="2.36"), database("plain"), database("shop", recorded="1")

    assert [] == judged(state={"databases": there}, collations=True).violations


def test_unrecorded_database_collation_is_unknown(judged):
    there = (database("shop", collation="en_US.UTF-8", needs_version=True),)
    problem = missing(lambda: judged(version=140_024, state={"databases": there}, collations=True))

    assert problem.text.startswith("PostgreSQL 14 does not record the version of the collation en_US.UTF-8 of database")


def test_database_named_like_a_dsn_has_no_command(judged):
    there = (database("host=evil", recorded="1", actual="2"),)
    (finding,) = judged(state={"databases": there}, collations=True).violations

    assert {} == finding.facts
    assert finding.remediation.commands == ()
