"""The WAL archive of a PostgreSQL server."""

from opscheck import Findings, Observe
from opscheck.systems.postgres.archiver import Archiving, PostgresArchiver
from opscheck.systems.postgres.readings.archiver import must_archive, not_archiving, unarchived, waiting


def test_wal_reaches_the_archive(expectation: PostgresArchiver, observe: Observe, findings: Findings) -> None:
    """
    The server's WAL reaches its archive, and soon.

    What is not archived is lost with the server, whatever base backups there are. WAL that cannot be archived is
    kept, too: it fills the disk, and then the server stops.
    """
    answer = observe(expectation.archiver)
    must_archive(expectation, answer)
    fault = not_archiving(answer)
    if fault is not None:
        findings.add(subject=_server(expectation), observed=fault.observed, expected=fault.expected, facts=fault.facts)
        return
    _judge_waiting(expectation, answer, findings)
    if expectation.age is not None:
        _judge_age(expectation, answer, findings)


def _judge_waiting(expectation: PostgresArchiver, answer: Archiving, findings: Findings) -> None:
    queue = waiting(answer)
    for what, number, limit in (
        ("finished WAL waits for the archive", queue.seconds, expectation.waiting),
        ("WAL files waiting", queue.count, expectation.backlog),
    ):
        findings.grade(
            what,
            number,
            limit,
            subject=_server(expectation),
            detail=queue.detail,
            since=queue.since,
            evidence=queue.evidence,
            facts=queue.facts,
        )


def _judge_age(expectation: PostgresArchiver, answer: Archiving, findings: Findings) -> None:
    outside = unarchived(expectation, answer)
    findings.grade(
        "changes outside the archive",
        outside.seconds,
        expectation.age if outside.judged else None,
        subject=_server(expectation),
        detail=outside.detail,
        facts=outside.facts,
    )


def _server(expectation: PostgresArchiver) -> str:
    return expectation.target.address or expectation.target.name
