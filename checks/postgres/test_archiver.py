"""The WAL archive of a PostgreSQL server."""

from opscheck import Findings, Observe
from opscheck.core.findings import FindingParts
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.systems.postgres.archiver import (
    SHOW_ARCHIVER,
    Archiving,
    PostgresArchiver,
    not_archiving,
    unarchived,
    waiting,
)


def test_wal_reaches_the_archive(expectation: PostgresArchiver, observe: Observe, findings: Findings) -> None:
    """
    The WAL archive is complete and up to date.

    WAL that is not archived is lost with the server, in spite of base backups. WAL that cannot be archived stays on
    the server until the disk is full and the server stops.
    """
    answer = observe(expectation.archiver)
    must_archive(expectation, answer)
    here = findings.on(expectation.server)
    fault = not_archiving(answer)
    if fault is not None:
        remedies = (SHOW_ARCHIVER, *fault.remedies)
        here.add(observed=fault.observed, expected=fault.expected, remedies=remedies, facts=fault.facts)
        return
    _judge_waiting(expectation, answer, here)
    if expectation.age is not None:
        _judge_age(expectation, answer, here)


def must_archive(expectation: PostgresArchiver, answer: Archiving) -> None:
    """
    Raise CouldNotObserve for a standby that leaves archiving to its primary.

    With archive_mode off it would not archive as a primary either, so it is judged unless the policy skips standbys.
    """
    leaves = answer.archive_mode == "on" or (answer.archive_mode == "off" and expectation.on_standby == "skip")
    if answer.standby and leaves:
        text = f"standby with archive_mode {answer.archive_mode}: it archives nothing"
        advice = "name the primary in the target's dsn (target_session_attrs=read-write), or set `on_standby: skip`"
        raise CouldNotObserve(expectation.archiver, Problem(kind=ProblemKind.ABSENT, text=text, advice=advice))


def _judge_waiting(expectation: PostgresArchiver, answer: Archiving, findings: Findings) -> None:
    queue = waiting(answer)
    parts: FindingParts = {
        "since": queue.since,
        "evidence": queue.evidence,
        "remedies": (SHOW_ARCHIVER, *queue.remedies),
        "facts": queue.facts,
    }
    findings.grade("longest wait of a WAL file", queue.seconds, expectation.waiting, detail=queue.detail, **parts)
    findings.grade("WAL files waiting", answer.waiting, expectation.backlog, detail=queue.detail, **parts)


def _judge_age(expectation: PostgresArchiver, answer: Archiving, findings: Findings) -> None:
    outside = unarchived(expectation.archiver, expectation.age, answer)
    findings.grade(
        "changes outside the archive",
        outside.seconds,
        expectation.age if outside.judged else None,
        detail=outside.detail,
        remedies=(SHOW_ARCHIVER, *outside.remedies),
        facts=outside.facts,
    )
