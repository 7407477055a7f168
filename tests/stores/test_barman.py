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


def test_the_age_counts_from_the_beginning_of_the_newest_backup_that_is_done(barman):
    barman.note("main", ago(30))
    barman.note("main", ago(20), took=15 * HOUR)

    findings = judged(barman)

    assert [] == findings.violations
    age, copies, *_ = [one for one in findings.measurements if one.subject == "server main"]
    assert ("age of the last good backup", 20) == (age.name, round(age.value / 3600, 1))
    assert ("good backups", 2) == (copies.name, copies.value)


def test_one_that_ended_lately_and_began_long_ago_is_old(barman):
    barman.note("main", ago(30), took=29 * HOUR)

    (finding,) = judged(barman).violations

    assert (Severity.P2, "server main", "<= 1d1h") == (finding.severity, finding.subject, finding.expected)
    assert finding.observed.startswith("age of the last good backup 1d6h (")
    assert "main" == finding.facts["server"]


def test_a_newest_one_that_failed_is_told_while_an_older_is_young(barman):
    barman.note("main", ago(20))
    barman.note("main", ago(2), "FAILED")

    (finding,) = judged(barman).violations

    assert Severity.P2 == finding.severity
    assert finding.observed.startswith("its newest backup ")
    assert finding.observed.endswith(" is FAILED")
    assert {"server", "failed_backup"} == finding.facts.keys()


def test_a_failure_that_a_good_one_followed_is_no_news(barman):
    barman.note("main", ago(20), "FAILED")
    barman.note("main", ago(2))

    assert [] == judged(barman).violations


@pytest.mark.parametrize("status", ["FAILED", "STARTED", "WAITING_FOR_WALS"])
def test_what_is_not_done_is_no_backup(barman, status):
    barman.note("main", ago(2), status)

    (finding,) = judged(barman).violations

    assert (Severity.P0, f"no good backup at all: 1 backup, {status}") == (finding.severity, finding.observed)


def test_a_server_without_any_is_found(barman):
    barman.note("main", ago(2))
    barman.add("other")

    (finding,) = judged(barman).violations

    assert ("server other", "no good backup at all: none was ever made") == (finding.subject, finding.observed)


def test_only_the_servers_that_are_named_are_judged_and_each_must_be_there(barman):
    barman.note("main", ago(2))
    barman.add("other")

    assert [] == judged(barman, servers=["main"]).violations
    (finding,) = judged(barman, servers=["main", "mian"]).violations
    assert ("server mian", "Barman knows no such server") == (finding.subject, finding.observed)


def test_an_incremental_backup_is_no_full_one(barman):
    barman.note("main", ago(9 * 24))
    barman.note("main", ago(2), kind="incremental")

    (finding,) = judged(barman, full_age={"P1": "8d"}).violations

    assert Severity.P1 == finding.severity
    assert finding.observed.startswith("age of the last full backup 9d")


def test_too_few_good_ones_are_found(barman):
    barman.note("main", ago(2))
    barman.note("main", ago(26), "FAILED")

    (finding,) = judged(barman, copies={"P2": 3, "P1": 2}).violations

    assert (Severity.P1, "good backups 1", ">= 2") == (finding.severity, finding.observed, finding.expected)


def test_one_from_the_future_proves_nothing(barman):
    barman.note("main", ago(-24))

    (finding,) = judged(barman).violations

    assert "one of the clocks is wrong" in finding.observed
    assert Severity.P0 == finding.severity


def test_a_configuration_that_is_not_there_is_unknown(barman):
    barman.file.unlink()

    assert "does not exist" in missing(lambda: judged(barman)).text


def test_a_barman_without_servers_is_found(barman):
    (barman.place / "servers" / "main.conf").unlink()

    (finding,) = judged(barman).violations

    assert (Severity.P0, "Barman knows no server") == (finding.severity, finding.observed)


def test_a_barman_that_is_not_installed_is_unknown():
    problem = missing(lambda: look(check, BackupJobs, HERE, tool="barman", command="/nowhere/barman", **LIMITS))

    assert (ProblemKind.UNSUPPORTED, "/nowhere/barman is not installed there") == (problem.kind, problem.text)


def test_a_real_backup_of_a_real_server_passes(barman_packages, programs_of_backups):
    with folder() as place:
        barman = Barman(barman_packages, Path(place))
        with server_to_back_up(barman):
            barman.good("backup", "--wait", "real")

            assert [] == judged(barman, age={"P1": "10m"}).violations
            (finding,) = judged(barman, age={"P1": "1ms"}).violations

    assert finding.observed.startswith("age of the last good backup ")
