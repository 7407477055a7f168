"""What a team's own SELECT yielded."""

import math
from collections.abc import Iterator

from opscheck.core.findings import Observe
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.systems.postgres.databases import each_database
from opscheck.systems.postgres.query import PostgresQuery, Select, Selected

_LINES = 10
_ROWS_TOLD = 20
_NAMELESS = "?column?"


def each_number(expectation: PostgresQuery, observe: Observe) -> Iterator[tuple[Selected, float]]:
    """
    The number of each database that yields one.

    At the end raises CouldNotObserve for the first that does not.
    """
    missing: CouldNotObserve | None = None
    for came in each_database(expectation, observe, Select):
        number = number_in(came.answer)
        if isinstance(number, Problem):
            missing = missing or CouldNotObserve(came.query, number)
        else:
            yield came.answer, number
    if missing is not None:
        raise missing


def number_in(answer: Selected) -> float | Problem:
    """The one number, or what is there instead."""
    if len(answer.values) == 1:
        return _number(answer, answer.values[0])
    if answer.values:
        return _no_number(answer, "several rows", "write a statement that yields one, or judge `rows_at_most`")
    return _no_number(answer, "no row", "write a statement that always yields one, such as SELECT count(*)")


def _number(answer: Selected, value: str | None) -> float | Problem:
    if value is None:
        return _no_number(answer, "NULL", "write coalesce(…, 0) where nothing means 0")
    number = float(value)
    return number if math.isfinite(number) else _no_number(answer, value, "write a statement that yields a finite one")


def _no_number(answer: Selected, what: str, advice: str) -> Problem:
    text = f"sql yields {what} in database {answer.database}, where one number is judged"
    return Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=advice)


def number_name(answer: Selected) -> str:
    """What the number is called in a report: as its column, where that has a name."""
    (column,) = answer.columns or (_NAMELESS,)
    return "number" if column == _NAMELESS else column


def row_count(answer: Selected) -> str:
    """How many rows there are, in words."""
    if answer.more:
        return f"more than {answer.count} rows"
    return f"{answer.count} row{'' if answer.count == 1 else 's'}"


def lines(expectation: PostgresQuery, answer: Selected) -> list[str]:
    """The values that may be shown of the first rows."""
    return [_line(expectation, row) for row in answer.rows[:_LINES]]


def named_rows(expectation: PostgresQuery, answer: Selected) -> Iterator[tuple[str, list[str]]]:
    """What each of the first rows is called, and its values that may be shown."""
    for row in answer.rows[:_ROWS_TOLD]:
        yield row[0] or f"a row without {expectation.subject}", [_line(expectation, row)] if len(row) > 1 else []


def rows_untold(answer: Selected) -> str:
    """How many rows are left when those have been told; empty when none are."""
    left = max(0, answer.count - _ROWS_TOLD)
    if answer.more:
        return f"more than {left} more rows" if left else "more rows"
    return f"{left} more rows" if left else ""


def facts(expectation: PostgresQuery, answer: Selected, row: str = "") -> dict[str, str]:
    """What commands may name."""
    known = {"row": row} if row else {}
    # psql takes a name with `=` or `://` for a connection string.
    if "=" not in answer.database and "://" not in answer.database:
        known["database"] = answer.database
    if "--" not in expectation.sql or "\n" not in expectation.sql:
        known["statement"] = " ".join(line.strip() for line in expectation.sql.splitlines())
    return known


def _line(expectation: PostgresQuery, row: tuple[str | None, ...]) -> str:
    named = zip(expectation.shown, row, strict=True)
    return ", ".join(f"{name} {'NULL' if value is None else value}" for name, value in named)
