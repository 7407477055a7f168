"""What a team expects of its own tables."""

import math
from collections.abc import Iterator
from typing import Any

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.systems.postgres.databases import connectable, each_database
from opscheck.systems.postgres.query import LOOK, RUN, PostgresQuery, Select, Selected

_LINES = 10
_ROWS = 20
"""So many rows get a finding of their own; the others are counted."""
_NAMELESS = "?column?"


def test_the_statement_yields_what_it_should(expectation: PostgresQuery, observe: Observe, findings: Findings) -> None:
    """
    A SELECT of one's own yields what it should.

    What its team counts there, jobs that failed, orders that nobody sent, rows that belong to nothing, is a trouble
    that no number of the server shows.
    """
    if expectation.is_number:
        for answer, number in _each_number(expectation, observe):
            _judge_number(expectation, answer, number, findings)
        return
    judge = _judge_emptiness if expectation.empty else _judge_rows
    for _, answer in each_database(expectation, observe, Select):
        judge(expectation, answer, findings)


def _judge_number(expectation: PostgresQuery, answer: Selected, number: float, findings: Findings) -> None:
    (column,) = answer.columns or (_NAMELESS,)
    name = "number" if column == _NAMELESS else column
    for limit in (expectation.at_most, expectation.at_least):
        if limit is not None:
            about = _about(expectation, answer)
            findings.grade(name, number, limit, subject=f"database {answer.database}", unit=expectation.unit, **about)


def _judge_rows(expectation: PostgresQuery, answer: Selected, findings: Findings) -> None:
    for limit in (expectation.rows_at_most, expectation.rows_at_least):
        if limit is not None:
            findings.grade(
                "rows",
                answer.count + answer.more,
                limit,
                subject=f"database {answer.database}",
                detail=_row_count(answer) if answer.more else "",
                evidence=_lines(expectation, answer),
                **_about(expectation, answer),
            )


def _judge_emptiness(expectation: PostgresQuery, answer: Selected, findings: Findings) -> None:
    database = f"database {answer.database}"
    findings.measure("rows", answer.count, subject=database, limit=0, margin=-answer.count)
    about: dict[str, Any] = {"expected": "no row"} | _about(expectation, answer)
    if expectation.subject is None:
        if answer.count:
            evidence = _lines(expectation, answer)
            findings.add(subject=database, observed=_row_count(answer), evidence=evidence, **about)
        return
    for row in answer.rows[:_ROWS]:
        findings.add(
            subject=row[0] or f"a row without {expectation.subject}",
            observed=f"a row in {database}",
            evidence=[_line(expectation, row)] if len(row) > 1 else [],
            **about | {"facts": about["facts"] | ({"row": row[0]} if row[0] else {})},
        )
    if more := _more_rows(answer):
        findings.add(subject=database, observed=more, **about)


def _about(expectation: PostgresQuery, answer: Selected) -> dict[str, Any]:
    """The command that shows the same, and its values."""
    facts = {"database": answer.database} if connectable(answer.database) else {}
    if "--" not in expectation.sql or "\n" not in expectation.sql:
        facts["statement"] = " ".join(line.strip() for line in expectation.sql.splitlines())
    return {"remedies": (RUN,) if {"database", "statement"} == facts.keys() else (LOOK,), "facts": facts}


def _each_number(expectation: PostgresQuery, observe: Observe) -> Iterator[tuple[Selected, float]]:
    """
    The number of each database that yields one.

    At the end raises CouldNotObserve for the first that does not.
    """
    missing: CouldNotObserve | None = None
    for query, answer in each_database(expectation, observe, Select):
        number = _number(answer)
        if isinstance(number, Problem):
            missing = missing or CouldNotObserve(query, number)
        else:
            yield answer, number
    if missing is not None:
        raise missing


def _number(answer: Selected) -> float | Problem:
    """The one number, or what is there instead."""
    if len(answer.values) > 1:
        return _no_number(answer, "several rows", "write a statement that yields one, or judge `rows_at_most`")
    if not answer.values:
        return _no_number(answer, "no row", "write a statement that always yields one, such as SELECT count(*)")
    (value,) = answer.values
    if value is None:
        return _no_number(answer, "NULL", "write coalesce(…, 0) where nothing means 0")
    number = float(value)
    return number if math.isfinite(number) else _no_number(answer, value, "write a statement that yields a finite one")


def _no_number(answer: Selected, what: str, advice: str) -> Problem:
    text = f"sql yields {what} in database {answer.database}, where one number is judged"
    return Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=advice)


def _row_count(answer: Selected) -> str:
    if answer.more:
        return f"more than {answer.count} rows"
    return f"{answer.count} row{'' if answer.count == 1 else 's'}"


def _more_rows(answer: Selected) -> str:
    """How many rows have no finding of their own; empty when all have."""
    left = max(0, answer.count - _ROWS)
    if answer.more:
        return f"more than {left} more rows" if left else "more rows"
    return f"{left} more rows" if left else ""


def _lines(expectation: PostgresQuery, answer: Selected) -> list[str]:
    """The values that may be shown of the first rows."""
    return [_line(expectation, row) for row in answer.rows[:_LINES]]


def _line(expectation: PostgresQuery, row: tuple[str | None, ...]) -> str:
    named = zip(expectation.shown, row, strict=True)
    return ", ".join(f"{name} {'NULL' if value is None else value}" for name, value in named)
