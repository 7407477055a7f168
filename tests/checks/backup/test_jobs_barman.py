"""What Barman's servers come to, where no Barman is."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from checks.backup.test_jobs import test_backups_are_made as check
from opscheck import Findings, HostTarget, Severity
from opscheck.systems.backup.jobs import BackupJobs
from opscheck.systems.backup.tools import BarmanBackup, BarmanCatalogue, BarmanServer
from opscheck.testing import expect, judge
from tests.servers.looking import missing

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
HERE = HostTarget(kind="host", uri="local://")


def backup(hours: float, status: str = "DONE", took: float = 1, **fields: Any) -> BarmanBackup:
    began = NOW - timedelta(hours=hours)
    done = status == "DONE"
    given = {"type": "full", "began_at": began if done else None} | fields
    ended = began + timedelta(hours=took) if done else None
    return BarmanBackup(id=f"{began:%Y%m%dT%H%M%S}", status=status, ended_at=ended, **given)


def judged(*backups: BarmanBackup, **fields: Any) -> Findings:
    expectation = expect(BackupJobs, HERE, **{"tool": "barman", "age": {"P2": "25h", "P0": "49h"}} | fields)
    servers = (BarmanServer(name="main", backups=backups),)
    return judge(check, expectation, {expectation.barman: BarmanCatalogue(taken_at=NOW, servers=servers)})


def test_the_newest_that_is_done_counts_in_any_order_they_come():
    for backups in ((backup(9), backup(33)), (backup(33), backup(9))):
        findings = judged(*backups)

        assert [] == findings.violations
        assert 9 * 3600 == findings.measurements[1].value


def test_its_age_counts_from_its_beginning():
    (finding,) = judged(backup(30, took=29)).violations

    assert (Severity.P2, "age of the last good backup 1d6h (20260309T060000, full)") == (
        finding.severity,
        finding.observed,
    )


@pytest.mark.parametrize("status", ["FAILED", "EMPTY", "STARTED", "SYNCING", "WAITING_FOR_WALS", "news"])
def test_unfinished_backup_is_not_a_backup(status):
    (finding,) = judged(backup(2, status)).violations

    assert f"no good backup: 1 backup, {status}" == finding.observed


def test_a_failure_is_reported_by_itself_until_a_good_one_follows():
    (finding,) = judged(backup(9), backup(2, "FAILED")).violations

    assert (Severity.P2, "its newest backup 20260310T100000 is FAILED") == (finding.severity, finding.observed)
    assert [] == judged(backup(9, "FAILED"), backup(2)).violations


def test_an_old_one_names_what_failed_since():
    (finding,) = judged(backup(30), backup(2, "FAILED"), backup(1, "STARTED")).violations

    assert ("its newest backup 20260310T100000 is FAILED", "20260310T110000 is STARTED") == finding.evidence
    assert {"server", "failed_backup"} == finding.facts.keys()


def test_a_version_without_types_has_full_ones_alone():
    assert [] == judged(backup(9, type=""), full_age={"P1": "8d"}).violations


def test_a_backup_whose_beginning_nobody_tells_is_unknown():
    problem = missing(lambda: judged(backup(9, began_at=None)))

    assert "server main: Barman does not say when 20260310T030000 began" == problem.text
