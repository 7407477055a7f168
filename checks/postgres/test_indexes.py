"""The indexes of a PostgreSQL server."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeAlias

from opscheck import ByteSize, Findings, Observe, Remedy
from opscheck.core.findings import judge_all
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.units import format_bytes, format_duration
from opscheck.core.words import counted
from opscheck.systems.postgres.databases import DatabaseQuery, each_database, in_psql
from opscheck.systems.postgres.indexes import (
    DROP,
    DROP_CONSTRAINT,
    DROP_PARTITIONED,
    REBUILD,
    DuplicateIndexes,
    Index,
    InvalidIndexes,
    ListDuplicateIndexes,
    ListInvalidIndexes,
    ListUnusedIndexes,
    PostgresIndexes,
    UnusedIndexes,
)
from opscheck.systems.postgres.thresholds import Case, found, graded, report_worst

_TIME = "%Y-%m-%d %H:%M:%S %Z"

Answer: TypeAlias = InvalidIndexes | DuplicateIndexes | UnusedIndexes


def test_indexes_are_valid_and_used(expectation: PostgresIndexes, observe: Observe, findings: Findings) -> None:
    """
    Every index is valid, unique in purpose, and used.

    Every write maintains every index. An invalid index serves no query, and an invalid UNIQUE index accepts duplicates.
    Duplicate and unused indexes cost time and space.
    """
    each = partial(each_database, expectation, observe)
    judge_all(
        lambda: _judge(expectation, findings, each(ListInvalidIndexes), _invalid, "invalid indexes"),
        lambda: _judge(expectation, findings, each(ListDuplicateIndexes), _duplicates, "duplicate indexes"),
        lambda: _judge(expectation, findings, each(ListUnusedIndexes), _unused, "unused indexes"),
    )


def _judge(
    expectation: PostgresIndexes,
    findings: Findings,
    answers: Iterator[tuple[DatabaseQuery[Any], Any]],
    cases: Callable[..., Iterator[Case]],
    what: str,
) -> None:
    """One kind of index in each database; a doubt about one database does not stop the others."""
    doubts: list[CouldNotObserve] = []
    indexes = 0
    for query, answer in answers:
        doubt = _unproven(expectation, answer)
        if doubt is None:
            here = findings.on(f"database {answer.database}")
            here.measure(what, answer.total)
            report_worst(here, cases(expectation, answer, findings), total=answer.total, what=what)
        indexes += answer.indexes
        if not indexes:
            doubt = _no_index(answer.database)
        if doubt is not None:
            doubts.append(CouldNotObserve(query, doubt))
    # With an index in any database, databases without one are not a problem.
    doubts = [why for why in doubts if not indexes or why.problem.kind is not ProblemKind.ABSENT]
    if doubts:
        raise doubts[0]


def _invalid(expectation: PostgresIndexes, answer: InvalidIndexes, findings: Findings) -> Iterator[Case]:
    limit = expectation.invalid
    severity = limit.severity(answer.total) if limit is not None else None
    if limit is None or severity is None:
        return
    for one in answer.found:
        yield found(
            findings,
            severity,
            observed=f"invalid, and not being built ({format_bytes(one.bytes)}, table {one.table})",
            expected=f"{limit.comparator} {limit.limit(answer.total)} invalid indexes (found {answer.total})",
            evidence=("leftover of a failed REINDEX CONCURRENTLY",) if one.leftover else (),
            **_about(answer, one, DROP if one.leftover else REBUILD),
        )


def _duplicates(expectation: PostgresIndexes, answer: DuplicateIndexes, findings: Findings) -> Iterator[Case]:
    for one in answer.found:
        about = _about(answer, one, DROP_PARTITIONED if one.partitioned else DROP)
        if one.constraint:
            table = {"table_schema": one.table_schema, "table": one.table_name}
            about = _about(answer, one, DROP_CONSTRAINT, constraint=one.constraint, **table)
        detail = f"same as {one.same_as} of table {one.table}"
        evidence = (f"constraint {one.constraint} uses it",) if one.constraint else ()
        size, limit = ByteSize(one.bytes), expectation.duplicates
        yield graded(findings, "duplicate index", size, limit, detail=detail, evidence=evidence, **about)


def _unused(expectation: PostgresIndexes, answer: UnusedIndexes, findings: Findings) -> Iterator[Case]:
    for one in answer.found:
        last = f"last used {one.last_scan:{_TIME}}" if one.last_scan else "not used since the counters began"
        yield graded(
            findings,
            "unused index",
            ByteSize(one.bytes),
            expectation.unused,
            detail=f"table {one.table}, {last}",
            since=one.last_scan or answer.counted_since,
            evidence=_elsewhere(answer),
            **_about(answer, one, DROP_PARTITIONED if one.partitioned else DROP),
        )


def _about(answer: Answer, index: Index, remedy: Remedy, **facts: str) -> dict[str, Any]:
    """Its subject, and its remedy where psql can connect to the database."""
    known = facts or {"schema": index.schema, "index": index.name}
    subject = f"{index.sql_name} in database {answer.database}"
    return {"subject": subject, **in_psql(answer.database, remedy, **known)}


def _unproven(expectation: PostgresIndexes, answer: Answer) -> Problem | None:
    """The problem if the server's counters prove nothing for the required time."""
    if not isinstance(answer, UnusedIndexes):
        return None
    if not answer.counts:
        text = "track_counts is off: the server does not count which indexes are used"
        return Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice="set track_counts = on, and reload")
    if answer.counted_since is None:
        return None
    age = (answer.clock - answer.counted_since).total_seconds()
    if age >= expectation.unused_for:
        return None
    text = (
        f"counters of database {answer.database} began {format_duration(age)} ago, at "
        f"{answer.counted_since:{_TIME}} (a new server, a crash or a reset); {expectation.unused_for} are needed"
    )
    left = format_duration(expectation.unused_for - age)
    advice = f"run again in {left}, or set a shorter `unused_for`"
    return Problem(kind=ProblemKind.FIRST_SAMPLE, text=text, advice=advice)


def _no_index(database: str) -> Problem:
    text = f"database {database} has no indexes"
    return Problem(kind=ProblemKind.ABSENT, text=text, advice="name the databases that have indexes in `databases`")


def _elsewhere(answer: UnusedIndexes) -> tuple[str, ...]:
    """Other servers to check before an index is dropped: counters are not replicated."""
    if answer.standby:
        return ("standby: its primary and other replicas have their own counters",)
    if answer.standbys:
        return (f"counters are not replicated: check {counted(answer.standbys, 'replica')} too",)
    return ()
