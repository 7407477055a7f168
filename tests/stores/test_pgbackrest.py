"""`backup.jobs` asks a real pgBackRest about real backups of a real PostgreSQL, and each way in which they fail it."""

from collections.abc import Iterator
from typing import Any

import pytest

from checks.backup.test_jobs import test_backups_are_made as check
from opscheck import Findings, HostTarget, Severity
from opscheck.core.observation import ProblemKind
from opscheck.core.templates import render
from opscheck.systems.backup.jobs import STANZA_DAMAGED, BackupJobs
from opscheck.systems.backup.tools import PgbackrestInfo, ReadPgbackrest
from opscheck.systems.host.probe import open_session
from opscheck.testing import expect
from tests.checks.kubernetes.rendering import rendered
from tests.registries import answer
from tests.servers.looking import look, missing
from tests.servers.pgbackrest import STANZA, PgBackRest, backed_up

HERE = HostTarget(kind="host", uri="local://")
LIMITS = {"age": {"P2": "1h", "P0": "1d"}}


@pytest.fixture(name="backrest", scope="module")
def _backrest(pgbackrest_programs) -> Iterator[PgBackRest]:
    """Two full backups in the first repository and one that is a difference; none in the second."""
    with backed_up(pgbackrest_programs) as backrest:
        backrest.back_up()
        backrest.back_up()
        backrest.back_up("incr")
        yield backrest


@pytest.fixture(name="bare")
def _bare(pgbackrest_programs) -> Iterator[PgBackRest]:
    """No backup at all."""
    with backed_up(pgbackrest_programs) as backrest:
        yield backrest


def judged(backrest: PgBackRest, **fields: Any) -> Findings:
    given = {"tool": "pgbackrest", "command": backrest.command, "repositories": [1], **LIMITS} | fields
    return look(check, BackupJobs, HERE, **given)


def told(backrest: PgBackRest) -> PgbackrestInfo:
    session = open_session(HERE, 10)
    return answer(session, ReadPgbackrest("target", command=tuple(backrest.command.split())), 20)


def test_recent_backups_pass_and_are_measured(backrest):
    findings = judged(backrest, full_age={"P2": "7d"}, copies={"P2": 3})

    assert [] == findings.violations
    subject = f"stanza {STANZA}, repository 1"
    names = [(one.name, one.subject) for one in findings.measurements if one.subject == subject]
    assert [
        ("age of the last good backup", subject),
        ("age of the last full backup", subject),
        ("good backups", subject),
    ] == names


def test_query_is_described_with_its_permissions(backrest):
    (stanza,) = told(backrest).stanzas
    first, second = stanza.repositories

    assert [("full", 0), ("full", 0), ("incr", 1)] == [(one.type, len(one.needs)) for one in first.backups]
    assert first.backups[2].needs == (first.backups[1].label,)
    assert all(one.began_at < one.ended_at for one in first.backups)
    assert (0, (), 2) == (first.code, second.backups, second.code)
    assert first.archives[0].newest >= first.backups[-1].wal_until


def test_repository_without_backups_is_violated_next_to_a_full_one(backrest):
    (finding,) = judged(backrest, repositories=[1, 2]).violations

    assert (f"stanza {STANZA}, repository 2", Severity.P0) == (finding.subject, finding.severity)
    assert "no good backup: no valid backups" == finding.observed
    assert "2" == finding.facts["repository"]


def test_age_of_a_backup_counts_from_its_start(backrest):
    (finding,) = judged(backrest, age={"P2": "1ms", "P0": "1d"}).violations

    assert finding.observed.startswith("age of the last good backup ")
    assert "incr)" in finding.observed
    assert (Severity.P2, "<= 1ms") == (finding.severity, finding.expected)


def test_full_backup_has_a_limit_of_its_own(backrest):
    (finding,) = judged(backrest, full_age={"P1": "1ms"}).violations

    assert finding.observed.startswith("age of the last full backup ")
    assert STANZA == finding.facts["stanza"]


def test_suggested_command_fixes_it(bare):
    asked = expect(BackupJobs, HERE, tool="pgbackrest", **LIMITS)
    findings = judged(bare, full_age={"P1": "7d"})
    assert ["no good backup: no valid backups"] == [one.observed for one in findings.violations]

    said = [bare.type_in(command) for command in rendered(asked, findings)]

    assert any("no valid backups" in one for one in said)
    assert any("new backup label" in one for one in said)
    assert [] == judged(bare, full_age={"P1": "7d"}).violations


def test_command_about_a_damaged_backup_can_be_typed(backrest):
    label = told(backrest).stanzas[0].repositories[0].backups[-1].label
    facts = {"stanza": STANZA, "repository": "1", "damaged_backup": label}
    commands = [render(one, facts) for one in STANZA_DAMAGED.commands]

    assert [True] == [label in backrest.type_in(command) for command in commands if command]


def test_missing_stanza_is_violated(backrest):
    (finding,) = judged(backrest, stanzas=[STANZA, "mian"]).violations

    assert ("stanza mian", "pgBackRest knows no such stanza") == (finding.subject, finding.observed)
    assert (f"stanzas there: {STANZA}",) == finding.evidence


def test_unconfigured_repository_is_violated(backrest):
    (finding,) = judged(backrest, repositories=[1, 3]).violations

    assert "repository 3 is not configured" == finding.observed


def test_unreadable_repository_is_unknown(backrest):
    info = backrest.repository(1) / "backup" / STANZA / "backup.info"
    copy = info.with_suffix(".info.copy")
    before, copied = info.read_bytes(), copy.read_bytes()
    for file in (info, copy):
        file.write_text("[backrest]\nnonsense")
    try:
        problem = missing(lambda: judged(backrest))
    finally:
        info.write_bytes(before)
        copy.write_bytes(copied)

    assert f"stanza {STANZA}, repository 1 could not be read" in problem.text


def test_server_without_any_backup_is_violated(bare):
    (finding,) = judged(bare).violations

    assert (Severity.P0, "one that began at most 1h ago") == (finding.severity, finding.expected)


def test_broken_archive_prevents_backups_until_the_last_is_old(bare):
    bare.back_up()
    bare.break_archive()
    failed = bare.run("backup", "--type=incr", "--repo=1")
    assert (82, True) == (failed.returncode, "was not archived before the" in failed.stdout + failed.stderr)

    assert [] == judged(bare).violations
    (finding,) = judged(bare, age={"P1": "100ms"}).violations
    assert "full)" in finding.observed


def test_removed_backup_does_not_count(bare):
    bare.back_up()
    (label,) = [one.label for one in told(bare).stanzas[0].repositories[0].backups]
    assert [] == judged(bare).violations
    (bare.repository(1) / "backup" / STANZA / label / "backup.manifest").unlink()
    (bare.repository(1) / "backup" / STANZA / label / "backup.manifest.copy").unlink()
    bare.good("expire", "--repo=1", f"--set={label}", "--repo1-retention-full=1")

    (finding,) = judged(bare).violations

    assert "no good backup: no valid backups" == finding.observed


def test_stanza_without_its_files_is_violated(bare):
    bare.good("stop")
    bare.server.stop()
    bare.good("stanza-delete", "--repo=1", "--force")

    (finding,) = judged(bare, stanzas=[STANZA]).violations

    assert finding.observed.startswith(("no good backup: missing stanza", "pgBackRest knows no such stanza"))


def test_missing_command_is_unknown_and_names_the_field():
    problem = missing(lambda: look(check, BackupJobs, HERE, tool="pgbackrest", command="/nowhere/pgbackrest", **LIMITS))

    assert (ProblemKind.UNSUPPORTED, "/nowhere/pgbackrest is not installed there") == (problem.kind, problem.text)
