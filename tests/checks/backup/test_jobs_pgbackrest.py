"""What pgBackRest's stanzas and repositories come to: worlds that take weeks to make, each a trap of those who list."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from checks.backup.test_jobs import test_backups_are_made as check
from opscheck import Findings, HostTarget, Severity
from opscheck.systems.backup.jobs import BackupJobs
from opscheck.systems.backup.tools import (
    PgbackrestArchive,
    PgbackrestBackup,
    PgbackrestInfo,
    PgbackrestRepository,
    PgbackrestStanza,
)
from opscheck.testing import expect, judge
from tests.servers.looking import missing

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
HERE = HostTarget(kind="host", uri="ssh://backup.example.com")
WAL = "000000010000000000000005"


def backup(label: str, hours: float = 9, kind: str = "full", **fields: Any) -> PgbackrestBackup:
    began = NOW - timedelta(hours=hours)
    given = {"damaged": False, "needs": (), "wal_until": WAL, "database": 1} | fields
    return PgbackrestBackup(label=label, type=kind, began_at=began, ended_at=began + timedelta(hours=1), **given)


def repository(*backups: PgbackrestBackup, number: int = 1, code: int = 0, message: str = "ok", **fields: Any) -> Any:
    given = {"archives": (PgbackrestArchive(database=1, newest=WAL),)} | fields
    return PgbackrestRepository(number=number, code=code, message=message, backups=backups, **given)


def stanza(*repositories: PgbackrestRepository, name: str = "main", **fields: Any) -> PgbackrestStanza:
    given = {"code": 0, "message": "ok", "running": False} | fields
    return PgbackrestStanza(name=name, repositories=repositories, **given)


def judged(*stanzas: PgbackrestStanza, **fields: Any) -> Findings:
    expectation = expect(BackupJobs, HERE, **{"tool": "pgbackrest", "age": {"P2": "25h", "P0": "49h"}} | fields)
    # Its own clock is the host's, whatever ours says.
    return judge(check, expectation, {expectation.pgbackrest: PgbackrestInfo(taken_at=NOW, stanzas=stanzas)})


def test_each_repository_of_each_stanza_is_judged_by_itself():
    """The newest of all is of the first repository of another stanza; who reads the last of a list is content."""
    findings = judged(
        stanza(repository(backup("a")), repository(backup("b", 60), number=2)),
        stanza(repository(backup("c", 1)), name="other"),
    )

    (finding,) = findings.violations
    assert ("stanza main, repository 2", Severity.P0) == (finding.subject, finding.severity)
    assert "age of the last good backup 2d12h (b, full)" == finding.observed
    assert {"stanza": "main", "repository": "2"} == finding.facts


@given(st.permutations([1.0, 9.0, 30.0, 60.0]))
def test_the_newest_counts_in_any_order_they_come(hours):
    findings = judged(stanza(repository(*(backup(f"b{one:g}", one) for one in hours))))

    assert [] == findings.violations
    assert [3600] == [one.value for one in findings.measurements if one.name == "age of the last good backup"]


def test_a_damaged_backup_is_reported_and_does_not_count():
    findings = judged(stanza(repository(backup("old", 30), backup("new", damaged=True))))

    age, damage = findings.violations
    assert "age of the last good backup 1d6h (old, full)" == age.observed
    assert ("pages of the database failed their checksums in new", Severity.P0) == (damage.observed, damage.severity)
    assert ("new", "main") == (damage.facts["damaged_backup"], damage.facts["stanza"])


def test_a_difference_to_what_is_gone_cannot_be_restored():
    findings = judged(stanza(repository(backup("old", 30), backup("i", 9, "incr", needs=("full", "diff")))))

    assert ["age of the last good backup 1d6h (old, full)", "i is a difference to diff, full, which is not there"] == [
        one.observed for one in findings.violations
    ]


def test_a_difference_to_what_is_damaged_does_not_count():
    damaged = backup("f", 30, damaged=True)

    (finding,) = judged(stanza(repository(damaged, backup("i", 9, "incr", needs=("f",))))).violations

    assert "no good backup: none that can be restored" == finding.observed


def test_without_the_wal_to_its_end_a_backup_cannot_be_restored():
    short = (PgbackrestArchive(database=1, newest="000000010000000000000004"),)
    no_backup, why = judged(stanza(repository(backup("a"), archives=short))).violations

    assert "no good backup: none that can be restored" == no_backup.observed
    assert f"a needs WAL until {WAL}, and the archive ends with 000000010000000000000004" == why.observed


def test_the_wal_of_the_database_before_an_upgrade_does_not_count():
    before = (PgbackrestArchive(database=1, newest="000000090000000000000009"),)

    findings = judged(stanza(repository(backup("a", database=2), archives=before)))

    assert "a needs WAL until 000000010000000000000005, and the archive ends before" == findings.violations[1].observed


def test_a_list_without_archives_says_nothing_of_wal():
    assert [] == judged(stanza(repository(backup("a"), archives=()))).violations


def test_full_backups_have_a_limit_of_their_own():
    chain = (backup("f", 200), backup("i", 9, "incr", needs=("f",)))

    (finding,) = judged(stanza(repository(*chain)), full_age={"P3": "8d", "P1": "15d"}).violations

    assert ("age of the last full backup 8d8h", Severity.P3) == (finding.observed, finding.severity)
    assert [] == judged(stanza(repository(*chain)), full_age={"P3": "9d"}).violations


def test_one_that_runs_now_is_evidence_next_to_an_old_one():
    (finding,) = judged(stanza(repository(backup("a", 30)), running=True)).violations

    assert "a backup, or the removal of old ones, runs there now" in finding.evidence
    assert f"WAL is archived until {WAL}" in finding.evidence


def test_error_of_the_tool_is_reported():
    well, mismatch = repository(backup("a")), "database mismatch across repos"
    (finding,) = judged(stanza(well, code=5, message=mismatch)).violations
    assert ("stanza main", f"pgBackRest says: {mismatch} (code 5)") == (finding.subject, finding.observed)

    (finding,) = judged(stanza(repository(backup("a"), code=3, message="missing stanza data"))).violations
    assert (Severity.P2, "pgBackRest says: missing stanza data (code 3)") == (finding.severity, finding.observed)


def test_repository_that_could_not_be_read_is_unknown_and_the_other_is_judged():
    other = repository(number=2, code=99, message="[FileOpenError] unable to open", archives=())
    problem = missing(lambda: judged(stanza(repository(backup("a")), other)))

    assert "stanza main, repository 2 could not be read: [FileOpenError] unable to open" == problem.text
    assert "by hand" in problem.advice


def test_nothing_at_all_is_not_a_success():
    (finding,) = judged().violations
    assert ("pgBackRest knows no stanza", Severity.P0) == (finding.observed, finding.severity)

    (finding,) = judged(stanza(code=1, message="missing stanza path")).violations
    assert "no repository; pgBackRest says: missing stanza path (code 1)" == finding.observed


def test_one_from_the_future_proves_nothing():
    (finding,) = judged(stanza(repository(backup("a", -1)))).violations

    assert ("the newest backup begins in 1h: one of the clocks is wrong", Severity.P0) == (
        finding.observed,
        finding.severity,
    )


def test_a_few_minutes_ahead_are_clocks_that_differ():
    assert [] == judged(stanza(repository(backup("a", -0.05)))).violations


def test_a_limit_is_kept_at_its_edge_and_broken_beyond_it():
    assert [] == judged(stanza(repository(backup("a", 25)))).violations
    (finding,) = judged(stanza(repository(backup("a", 25 + 1 / 3600)))).violations
    assert NOW - timedelta(seconds=1) == finding.since


def test_a_severity_of_its_own_is_that_of_what_is_not_graded():
    bad = stanza(repository(backup("old", 20), backup("new", damaged=True)))

    (finding,) = judged(bad, severity="P1").violations

    assert Severity.P1 == finding.severity


def test_without_any_backup_the_missing_full_one_is_not_reported():
    (finding,) = judged(stanza(repository(code=2, message="no valid backups")), full_age={"P1": "8d"}).violations

    assert "no good backup: no valid backups" == finding.observed
