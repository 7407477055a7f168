"""The results of a team's own SELECT statements."""

import math
from functools import partial
from typing import TypeAlias

from opscheck import Findings, Observe, Remedy
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.words import counted
from opscheck.systems.postgres.databases import connectable, each_database
from opscheck.systems.postgres.query import LOOK, RUN, PostgresQuery, Select, Selected
from opscheck.systems.postgres.thresholds import MOST

_LINES = 10
_NAMELESS = "?column?"

Remedies: TypeAlias = tuple[Remedy, ...]


def test_result_is_within_its_limits(expectation: PostgresQuery, observe: Observe, findings: Findings) -> None:
    """
    The result of a custom SELECT is within its limits.

    Failed jobs, unsent orders and orphaned rows are problems that no metric of the server shows.
    """
    judge = _judge_number if expectation.is_number else _judge_emptiness if expectation.empty else _judge_rows
    missing: CouldNotObserve | None = None
    for query, answer in each_database(expectation, observe, Select):
        problem = _no_number(answer) if expectation.is_number else None
        if problem is not None:
            missing = missing or CouldNotObserve(query, problem)
            continue
        facts = _facts(expectation, answer)
        remedies = (RUN,) if {"database", "statement"} == facts.keys() else (LOOK,)
        judge(expectation, answer, findings.on(f"database {answer.database}", **facts), remedies)
    if missing is not None:
        raise missing


def _judge_number(expectation: PostgresQuery, answer: Selected, findings: Findings, remedies: Remedies) -> None:
    (column,) = answer.columns or (_NAMELESS,)
    name = "number" if column == _NAMELESS else column
    for limit in (expectation.at_most, expectation.at_least):
        if limit is not None:
            findings.grade(name, float(str(answer.values[0])), limit, unit=expectation.unit, remedies=remedies)


def _judge_rows(expectation: PostgresQuery, answer: Selected, findings: Findings, remedies: Remedies) -> None:
    detail, evidence = _row_count(answer) if answer.more else "", _lines(expectation, answer)
    for limit in (expectation.rows_at_most, expectation.rows_at_least):
        if limit is not None:
            rows = answer.count + answer.more
            findings.grade("rows", rows, limit, detail=detail, evidence=evidence, remedies=remedies)


def _judge_emptiness(expectation: PostgresQuery, answer: Selected, findings: Findings, remedies: Remedies) -> None:
    findings.measure("rows", answer.count, limit=0, margin=-answer.count)
    add = partial(findings.add, expected="no row", remedies=remedies)
    if expectation.subject is None:
        if answer.count:
            add(observed=_row_count(answer), evidence=_lines(expectation, answer))
        return
    for row in answer.rows[:MOST]:
        add(
            subject=row[0] or f"a row without {expectation.subject}",
            observed=f"a row in database {answer.database}",
            evidence=[_line(expectation, row)] if len(row) > 1 else [],
            facts={"row": row[0]} if row[0] else {},
        )
    if more := _more_rows(answer):
        add(observed=more)


def _facts(expectation: PostgresQuery, answer: Selected) -> dict[str, str]:
    """The facts of the command that runs the statement."""
    facts = {"database": answer.database} if connectable(answer.database) else {}
    if "--" not in expectation.sql or "\n" not in expectation.sql:
        facts["statement"] = " ".join(line.strip() for line in expectation.sql.splitlines())
    return facts


def _no_number(answer: Selected) -> Problem | None:
    """The problem if the result is not exactly one number; None if it is."""
    first = answer.values[0] if answer.values else None
    if len(answer.values) > 1:
        what, advice = "several rows", "write a statement that returns one row, or use `rows_at_most`"
    elif not answer.values:
        what, advice = "no row", "write a statement that always returns one row, such as SELECT count(*)"
    elif first is None:
        what, advice = "NULL", "write coalesce(…, 0) if NULL means 0"
    elif not math.isfinite(float(first)):
        what, advice = first, "write a statement that returns a finite number"
    else:
        return None
    text = f"sql returns {what} instead of one number in database {answer.database}"
    return Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=advice)


def _row_count(answer: Selected) -> str:
    return f"more than {answer.count} rows" if answer.more else counted(answer.count, "row")


def _more_rows(answer: Selected) -> str:
    """The number of rows without a finding of their own; empty when all have one."""
    left = max(0, answer.count - MOST)
    if answer.more:
        return f"more than {left} more rows" if left else "more rows"
    return f"{left} more rows" if left else ""


def _lines(expectation: PostgresQuery, answer: Selected) -> list[str]:
    """The values that may be shown of the first rows."""
    return [_line(expectation, row) for row in answer.rows[:_LINES]]


def _line(expectation: PostgresQuery, row: tuple[str | None, ...]) -> str:
    named = zip(expectation.shown, row, strict=True)
    return ", ".join(f"{name} {'NULL' if value is None else value}" for name, value in named)
