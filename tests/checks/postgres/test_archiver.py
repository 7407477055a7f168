"""`postgres.archiver` on real servers whose archive works, never worked, fails, is off, or is the primary's."""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from checks.postgres.test_archiver import test_wal_reaches_the_archive as check
from opscheck import PostgresTarget, Severity
from opscheck.core.findings import Findings
from opscheck.core.observation import ProblemKind
from opscheck.demo.postgres import PostgreSQL
from opscheck.systems.postgres.archiver import (
    END_SEGMENTS,
    SHOW_ARCHIVER,
    SHOW_FAILED,
    SHOW_WAITING,
    SWITCH_ON,
    PostgresArchiver,
)
from opscheck.testing import expect
from opscheck.transport.processes import wait_until
from tests.servers.archiving import Archiving, archiving
from tests.servers.looking import look, missing
from tests.servers.replication import ask, replication, write
from tests.servers.typed_commands import commands_of, type_in

CATALOGUE = {
    "waiting": {"P2": "5m", "P1": "15m"},
    "backlog": {"P2": 20, "P1": 100},
    "age": {"P2": "1h", "P1": "6h"},
}
AT_ONCE = {"P2": "0s", "P1": "15m"}

Judged = Callable[..., Findings]


def judge(server: PostgreSQL, role: str = "opscheck", /, **fields: Any) -> Findings:
    target = PostgresTarget(kind="postgres", dsn=server.dsn(role))
    return look(check, PostgresArchiver, target, **(fields or CATALOGUE))


@pytest.fixture(name="archive", scope="module")
def _archive(installation) -> Iterator[Archiving]:
    with archiving(installation) as archive:
        yield archive


@pytest.fixture(name="failing")
def _failing(archive) -> Iterator[Archiving]:
    """It has worked, and fails now; afterwards nothing waits."""
    archive.fail()
    archive.fail_once()
    yield archive
    archive.work()
    archive.archive_one()


@pytest.fixture(name="born_broken", scope="module")
def _born_broken(installation) -> Iterator[Archiving]:
    with archiving(installation, works=False) as archive:
        yield archive


def waited(archive: Archiving, minutes: int) -> None:
    """Make the files that wait older than they are."""
    then = (datetime.now(UTC) - timedelta(minutes=minutes)).timestamp()
    for ready in (archive.server.data / "pg_wal" / "archive_status").glob("*.ready"):
        os.utime(ready, (then, then))


def subject(server: PostgreSQL) -> str:
    return f"postgresql://127.0.0.1:{server.port}/integration_db"


def test_working_archive_passes_and_is_measured(archive):
    findings = judge(archive.server)

    assert [] == findings.violations
    assert [("longest wait of a WAL file", 0), ("WAL files waiting", 0)] == [
        (one.name, one.value) for one in findings.measurements[:2]
    ]


def test_archiver_that_never_succeeded_is_violated(born_broken):
    waited(born_broken, 20)
    (finding,) = judge(born_broken.server, waiting=CATALOGUE["waiting"]).violations

    assert (Severity.P1, subject(born_broken.server)) == (finding.severity, finding.subject)
    assert finding.observed.startswith("longest wait of a WAL file 20m")
    assert "the last attempt failed; nothing archived since the counters began" in finding.observed
    assert "<= 15m" == finding.expected
    assert "000000010000000000000001" == finding.facts["failed_wal"] == finding.facts["waiting_wal"]
    assert finding.evidence[0].startswith("0 archived and ")
    assert finding.remediation.commands == commands_of(SHOW_ARCHIVER, SHOW_FAILED, SHOW_WAITING)


def test_failing_archiver_is_graded_by_the_wait_of_wal(failing):
    assert [] == judge(failing.server, waiting=CATALOGUE["waiting"]).violations

    waited(failing, 6)
    (finding,) = judge(failing.server, waiting=CATALOGUE["waiting"]).violations

    assert (Severity.P2, "<= 5m") == (finding.severity, finding.expected)
    assert finding.observed.startswith("longest wait of a WAL file 6m")
    assert "the last attempt failed)" in finding.observed
    assert finding.since is not None


def test_backlog_is_counted(failing):
    failing.switch(3)
    (finding,) = judge(failing.server, backlog={"P2": 2, "P1": 100}).violations

    assert (Severity.P2, "<= 2") == (finding.severity, finding.expected)
    assert finding.observed.startswith("WAL files waiting 4 (4 files; the last attempt failed")


def test_hanging_archiver_is_violated(installation):
    with archiving(installation, command="test ! -e archive-is-full || sleep 600; true #") as archive:
        archive.fail()
        archive.switch(2)
        waited(archive, 20)
        (finding,) = judge(archive.server, waiting=CATALOGUE["waiting"]).violations
        ask(archive.server, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'archiver'")

    assert Severity.P1 == finding.severity
    assert "the archiver has not failed: it hangs or is too slow" in finding.observed
    assert "failed_wal" not in finding.facts
    assert finding.remediation.commands == commands_of(SHOW_ARCHIVER, SHOW_WAITING)


def test_idle_server_is_not_late(archive):
    archive.archive_one()

    assert [] == judge(archive.server, age={"P1": "0s"}).violations


def test_segment_without_timeout_is_as_old_as_the_last_archived(archive):
    write(archive.server)
    (finding,) = judge(archive.server, age={"P2": "0s", "P1": "1h"}).violations

    assert (Severity.P2, "<= 0s") == (finding.severity, finding.expected)
    assert "in the current segment; archive_timeout is 0: it ends when it is full" in finding.observed
    assert {"archive_timeout": "1"} == finding.facts
    assert finding.remediation.commands == commands_of(SHOW_ARCHIVER, END_SEGMENTS)


@pytest.mark.parametrize(
    ("command", "observed"),
    [
        ("", "neither archive_command nor archive_library is set: WAL piles up"),
        ("/bin/true", "archive_command succeeds without storing anything"),
    ],
)
def test_command_that_stores_nothing_is_violated(installation, command, observed):
    with PostgreSQL(programs=installation, archive_mode="on", archive_command=command) as server:
        (finding,) = judge(server).violations

    assert (Severity.P1, subject(server), observed) == (finding.severity, finding.subject, finding.observed)


@pytest.mark.since_postgres(15)  # archive_library
def test_archive_library_counts_as_a_command(contrib_installation):
    installation = contrib_installation
    settings = {"archive_library": "basic_archive", "basic_archive.archive_directory": "archived"}
    with PostgreSQL(programs=installation, archive_mode="on", **settings) as server:
        broken = Archiving(server)
        broken.fail_once()  # the folder does not exist
        waited(broken, 20)
        (finding,) = judge(server, waiting=CATALOGUE["waiting"]).violations

    assert (Severity.P1, "<= 15m") == (finding.severity, finding.expected)
    assert "nothing archived since the counters began" in finding.observed


def test_server_without_archiving_is_violated(server):
    (finding,) = judge(server).violations

    assert (Severity.P1, subject(server)) == (finding.severity, finding.subject)
    assert "archive_mode is off: no WAL is archived" == finding.observed
    assert {"archive_mode": "on"} == finding.facts
    assert finding.remediation.commands == commands_of(SHOW_ARCHIVER, SWITCH_ON)


def test_standby_without_archiving_is_unknown(installation):
    with replication(installation, archive_mode="on", archive_command="test -e %p") as pair:
        standby = pair.standby.server
        problem = missing(lambda: judge(standby))

        assert ProblemKind.ABSENT == problem.kind
        assert "standby with archive_mode on: it archives nothing" == problem.text
        assert [] == judge(pair.primary).violations
        assert expect(
            PostgresArchiver, PostgresTarget(kind="postgres", dsn=standby.dsn()), **CATALOGUE, on_standby="skip"
        ).does_not_apply(problem)


def test_standby_with_archive_mode_always_is_judged(installation):
    with replication(installation, archive_mode="always", archive_command="false") as pair:
        write(pair.primary)
        ask(pair.primary, "SELECT pg_switch_wal()")
        standby = pair.standby.server
        wait_until(lambda: judge(standby, backlog={"P1": 0}).violations, 20, "nothing waits on the standby")


def test_missing_right_is_reported(archive):
    problem = missing(lambda: judge(archive.server, "app"))

    assert (ProblemKind.DENIED, 'GRANT pg_monitor TO "app"') == (problem.kind, problem.advice)


def test_archive_command_is_never_shown(installation):
    secret = "s3cr3t"
    with archiving(installation, works=False, command=f"test -z {secret}") as archive:
        waited(archive, 20)
        findings = judge(archive.server)

    assert findings.violations
    assert secret not in str(findings.violations)


def test_suggested_commands_run(failing, server):
    waited(failing, 20)
    (late,) = judge(failing.server, waiting=CATALOGUE["waiting"]).violations
    (off,) = judge(server).violations
    shown = type_in(PostgresArchiver, late, failing.server, **CATALOGUE)
    ordered = type_in(PostgresArchiver, off, server, **CATALOGUE)
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM RESET archive_mode")

    assert [True, True, True] == [late.facts["waiting_wal"] in said or "fails_still" in said for said in shown]
    assert "ALTER SYSTEM" == ordered[-1]


def test_suggested_archive_timeout_fixes_the_age(installation):
    with archiving(installation) as archive:
        write(archive.server)
        (old,) = judge(archive.server, age={"P2": "0s", "P1": "1h"}).violations
        type_in(PostgresArchiver, old, archive.server, **CATALOGUE)
        timeout = "SELECT setting FROM pg_settings WHERE name = 'archive_timeout'"
        wait_until(lambda: ask(archive.server, timeout) == ("1",), 20, "the setting is not read")

        before = archive.server.data.parent / "archive"
        there = len(list(before.iterdir()))
        write(archive.server)
        wait_until(lambda: len(list(before.iterdir())) > there, 30, "the segment is not ended")
