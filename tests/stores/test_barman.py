"""`backup.jobs` asks a real Barman: over catalogues that its own code wrote, and over a backup that it made."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from checks.backup.test_jobs import test_backups_are_made as check
from opscheck import Findings, HostTarget, Severity
from opscheck.core.observation import ProblemKind
from opscheck.systems.backup.jobs import BackupJobs
from opscheck.transport.processes import folder
from tests.servers.barman import Barman, server_to_back_up
from tests.servers.looking import look, missing

HERE = HostTarget(kind="host", uri="local://")
LIMITS = {"age": {"P2": "25h", "P0": "49h"}}
HOUR = timedelta(hours=1)


@pytest.fixture(name="barman")
def _barman(barman_packages: Path, tmp_path: Path) -> Barman:
    barman = Barman(barman_packages, tmp_path)
    barman.add("main")
    return barman


def ago(hours: float) -> datetime:
    return datetime.now(UTC) - timedelta(hours=hours)


def judged(barman: Barman, **fields: Any) -> Findings:
    return look(check, BackupJobs, HERE, **{"tool": "barman", "command": barman.command, **LIMITS} | fields)


def test_age_counts_from_the_start_of_the_newest_completed_backup(barman):
    barman.note("main", ago(30))
    barman.note("main", ago(20), took=15 * HOUR)

    findings = judged(barman)

    assert [] == findings.violations
    age, copies, *_ = [one for one in findings.measurements if one.subject == "server main"]
    assert ("age of the last good backup", 20) == (age.name, round(age.value / 3600, 1))
    assert ("good backups", 2) == (copies.name, copies.value)


def test_backup_that_started_long_ago_is_old(barman):
    barman.note("main", ago(30), took=29 * HOUR)

    (finding,) = judged(barman).violations

    assert (Severity.P2, "server main", "<= 1d1h") == (finding.severity, finding.subject, finding.expected)
    assert finding.observed.startswith("age of the last good backup 1d6h (")
    assert "main" == finding.facts["server"]


def test_failed_newest_backup_is_reported_despite_a_recent_older_one(barman):
    barman.note("main", ago(20))
    barman.note("main", ago(2), "FAILED")

    (finding,) = judged(barman).violations

    assert Severity.P2 == finding.severity
    assert finding.observed.startswith("its newest backup ")
    assert finding.observed.endswith(" is FAILED")
    assert {"server", "failed_backup"} == finding.facts.keys()


def test_failure_before_a_good_backup_is_not_reported(barman):
    barman.note("main", ago(20), "FAILED")
    barman.note("main", ago(2))

    assert [] == judged(barman).violations


@pytest.mark.parametrize("status", ["FAILED", "STARTED", "WAITING_FOR_WALS"])
def test_incomplete_backup_does_not_count(barman, status):
    barman.note("main", ago(2), status)

    (finding,) = judged(barman).violations

    assert (Severity.P0, f"no good backup: 1 backup, {status}") == (finding.severity, finding.observed)


def test_server_without_backups_is_violated(barman):
    barman.note("main", ago(2))
    barman.add("other")

    (finding,) = judged(barman).violations

    assert ("server other", "no good backup: none was ever made") == (finding.subject, finding.observed)


def test_named_servers_are_judged_and_each_must_exist(barman):
    barman.note("main", ago(2))
    barman.add("other")

    assert [] == judged(barman, servers=["main"]).violations
    (finding,) = judged(barman, servers=["main", "mian"]).violations
    assert ("server mian", "Barman knows no such server") == (finding.subject, finding.observed)


def test_incremental_backup_is_not_a_full_one(barman):
    barman.note("main", ago(9 * 24))
    barman.note("main", ago(2), kind="incremental")

    (finding,) = judged(barman, full_age={"P1": "8d"}).violations

    assert Severity.P1 == finding.severity
    assert finding.observed.startswith("age of the last full backup 9d")


def test_too_few_good_backups_are_violated(barman):
    barman.note("main", ago(2))
    barman.note("main", ago(26), "FAILED")

    (finding,) = judged(barman, copies={"P2": 3, "P1": 2}).violations

    assert (Severity.P1, "good backups 1", ">= 2") == (finding.severity, finding.observed, finding.expected)


def test_backup_from_the_future_does_not_count(barman):
    barman.note("main", ago(-24))

    (finding,) = judged(barman).violations

    assert "one of the clocks is wrong" in finding.observed
    assert Severity.P0 == finding.severity


def test_missing_configuration_is_unknown(barman):
    barman.file.unlink()

    assert "does not exist" in missing(lambda: judged(barman)).text


def test_barman_without_servers_is_violated(barman):
    (barman.place / "servers" / "main.conf").unlink()

    (finding,) = judged(barman).violations

    assert (Severity.P0, "Barman knows no server") == (finding.severity, finding.observed)


def test_missing_barman_is_unknown():
    problem = missing(lambda: look(check, BackupJobs, HERE, tool="barman", command="/nowhere/barman", **LIMITS))

    assert (ProblemKind.UNSUPPORTED, "/nowhere/barman is not installed there") == (problem.kind, problem.text)


def test_real_backup_of_a_real_server_passes(barman_packages, programs_of_backups):
    with folder() as place:
        barman = Barman(barman_packages, Path(place))
        with server_to_back_up(barman):
            barman.good("backup", "--wait", "real")

            assert [] == judged(barman, age={"P1": "10m"}).violations
            (finding,) = judged(barman, age={"P1": "1ms"}).violations

    assert finding.observed.startswith("age of the last good backup ")
