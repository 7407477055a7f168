"""What a team expects of its own tables."""

from opscheck import Findings, Observe
from opscheck.systems.postgres.databases import each_database
from opscheck.systems.postgres.query import PostgresQuery, Select, Selected
from opscheck.systems.postgres.readings.custom import (
    each_number,
    facts,
    lines,
    named_rows,
    number_name,
    row_count,
    rows_untold,
)


def test_the_statement_yields_what_it_should(expectation: PostgresQuery, observe: Observe, findings: Findings) -> None:
    """
    A SELECT of one's own yields what it should.

    What its team counts there, jobs that failed, orders that nobody sent, rows that belong to nothing, is a trouble
    that no number of the server shows.
    """
    if expectation.is_number:
        for answer, number in each_number(expectation, observe):
            _judge_number(expectation, answer, number, findings)
        return
    judge = _judge_emptiness if expectation.empty else _judge_rows
    for came in each_database(expectation, observe, Select):
        judge(expectation, came.answer, findings)


def _judge_number(expectation: PostgresQuery, answer: Selected, number: float, findings: Findings) -> None:
    for limit in (expectation.at_most, expectation.at_least):
        if limit is not None:
            findings.grade(
                number_name(answer),
                number,
                limit,
                subject=f"database {answer.database}",
                unit=expectation.unit,
                facts=facts(expectation, answer),
            )


def _judge_rows(expectation: PostgresQuery, answer: Selected, findings: Findings) -> None:
    counted = answer.count + answer.more
    for limit in (expectation.rows_at_most, expectation.rows_at_least):
        if limit is not None:
            findings.grade(
                "rows",
                counted,
                limit,
                subject=f"database {answer.database}",
                detail=row_count(answer) if answer.more else "",
                evidence=lines(expectation, answer),
                facts=facts(expectation, answer),
            )


def _judge_emptiness(expectation: PostgresQuery, answer: Selected, findings: Findings) -> None:
    database = f"database {answer.database}"
    findings.measure("rows", answer.count, subject=database, limit=0, margin=-answer.count)
    if expectation.subject is None:
        if answer.count:
            findings.add(
                subject=database,
                observed=row_count(answer),
                expected="no row",
                evidence=lines(expectation, answer),
                facts=facts(expectation, answer),
            )
        return
    for name, evidence in named_rows(expectation, answer):
        known = facts(expectation, answer, name)
        findings.add(subject=name, observed=f"a row in {database}", expected="no row", evidence=evidence, facts=known)
    if untold := rows_untold(answer):
        findings.add(subject=database, observed=untold, expected="no row", facts=facts(expectation, answer))
