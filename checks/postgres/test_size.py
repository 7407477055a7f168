"""The size of the databases of a PostgreSQL server, and the end of their sequences."""

from opscheck import Findings, Observe
from opscheck.core.isolation import judge_all
from opscheck.core.units import Percentage, format_duration
from opscheck.systems.postgres.databases import each_database
from opscheck.systems.postgres.readings.size import (
    growth,
    largest,
    near_end,
    require_readable,
    sequence_detail,
    sequence_evidence,
    sequence_facts,
    sequence_subject,
    sized,
    total_of,
)
from opscheck.systems.postgres.size import PostgresSize, Sequences


def test_databases_have_room_to_grow(expectation: PostgresSize, observe: Observe, findings: Findings) -> None:
    """
    Databases are as large as planned, grow as fast as planned, and their sequences have values left.

    A database that grows unnoticed fills its disk, and then every write fails. At the end of a sequence every insert
    into its table fails; an integer column is full after two thousand million rows, whatever was deleted of them.
    """
    judge_all(
        lambda: _judge_total(expectation, observe, findings),
        lambda: _judge_sizes(expectation, observe, findings),
        lambda: _judge_sequences(expectation, observe, findings),
        lambda: _require_sequences(expectation, observe),
        lambda: _judge_growth(expectation, observe, findings),
    )


def _judge_total(expectation: PostgresSize, observe: Observe, findings: Findings) -> None:
    if expectation.total is None:
        return
    total = total_of(expectation, observe(expectation.sizes))
    if total.hidden is None or expectation.total.severity(total.bytes):
        findings.grade(
            "size of all databases",
            total.bytes,
            expectation.total,
            subject=expectation.target.address,
            detail=f"{total.count} databases",
            facts={"database_count": str(total.count)},
        )
    if total.hidden is not None:
        raise total.hidden


def _judge_sizes(expectation: PostgresSize, observe: Observe, findings: Findings) -> None:
    if not expectation.judges_databases:
        return
    for database in sized(expectation, observe(expectation.sizes)):
        told = expectation.is_too_large(database.bytes)
        evidence, facts = largest(expectation, database, observe) if told else ([], {})
        findings.grade(
            "size", database.bytes, expectation.size, subject=database.subject, unit="B", evidence=evidence, facts=facts
        )


def _judge_growth(expectation: PostgresSize, observe: Observe, findings: Findings) -> None:
    if not expectation.judges_growth:
        return
    over = format_duration(float(expectation.over))
    for grown in growth(expectation, observe):
        evidence, facts = largest(expectation, grown.database, observe)
        findings.grade(
            f"growth in {over}",
            grown.share,
            expectation.growth if grown.bytes > expectation.growth_above else None,
            subject=grown.database.subject,
            detail=grown.detail,
            evidence=evidence,
            facts=facts,
        )
        findings.grade(
            f"grown in {over}",
            grown.bytes,
            expectation.grown,
            subject=grown.database.subject,
            unit="B",
            detail=grown.detail,
            evidence=evidence,
            facts=facts,
        )


def _judge_sequences(expectation: PostgresSize, observe: Observe, findings: Findings) -> None:
    if expectation.sequences is None:
        return
    for one in each_database(expectation, observe, Sequences):
        findings.measure("sequences", one.answer.seen, subject=f"database {one.answer.database}")
        for sequence in near_end(expectation, one.answer):
            findings.grade(
                "sequence used",
                Percentage(sequence.used),
                expectation.sequences,
                subject=sequence_subject(one.answer, sequence),
                detail=sequence_detail(sequence),
                evidence=sequence_evidence(sequence),
                facts=sequence_facts(one.answer, sequence),
            )


def _require_sequences(expectation: PostgresSize, observe: Observe) -> None:
    if expectation.sequences is None:
        return
    for one in each_database(expectation, observe, Sequences):
        require_readable(one.query, one.answer)
