"""The indexes of a PostgreSQL server."""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from opscheck import ByteSize, Findings, Observe, Remedy
from opscheck.core.findings import judge_all
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.units import format_bytes, format_duration
from opscheck.systems.postgres.databases import DatabaseQuery, connectable, each_database
from opscheck.systems.postgres.indexes import (
    DROP,
    DROP_CONSTRAINT,
    DROP_PARTITIONED,
    REBUILD,
    DuplicateIndex,
    DuplicateIndexes,
    Index,
    InvalidIndexes,
    ListDuplicateIndexes,
    ListInvalidIndexes,
    ListUnusedIndexes,
    PostgresIndexes,
    UnusedIndexes,
)
from opscheck.systems.postgres.thresholds import found, graded, report_worst

_TIME = "%Y-%m-%d %H:%M:%S %Z"

Answer: TypeAlias = InvalidIndexes | DuplicateIndexes | UnusedIndexes
A = TypeVar("A", InvalidIndexes, DuplicateIndexes, UnusedIndexes)


def test_indexes_serve(expectation: PostgresIndexes, observe: Observe, findings: Findings) -> None:
    """
    Every index is valid, there once, and used.

    Each write has to keep every index of its table. One that failed to build serves no query (and a UNIQUE one does
    not keep duplicates out), and one that is there twice or that nobody uses costs time and space for nothing.
    """

    def each(kind: type[DatabaseQuery[A]], judge: Callable[[PostgresIndexes, A, Findings], None]) -> None:
        _each_database(expectation, observe, findings, kind, judge)

    judge_all(
        lambda: each(ListInvalidIndexes, _judge_invalid),
        lambda: each(ListDuplicateIndexes, _judge_duplicates),
        lambda: each(ListUnusedIndexes, _judge_unused),
    )


def _each_database(
    expectation: PostgresIndexes,
    observe: Observe,
    findings: Findings,
    kind: type[DatabaseQuery[A]],
    judge: Callable[[PostgresIndexes, A, Findings], None],
) -> None:
    """One kind of index in each database; a doubt about one database does not stop the others."""
    doubts: list[CouldNotObserve] = []
    indexes = 0
    for query, answer in each_database(expectation, observe, kind):
        judge(expectation, answer, findings)
        indexes += answer.indexes
        if not indexes:
            doubts.append(CouldNotObserve(query, _no_index(answer.database)))
        elif isinstance(answer, UnusedIndexes) and (why := _unproven(expectation, answer)):
            doubts.append(CouldNotObserve(query, why))
    # One index in any database, and databases without are no doubt.
    doubts = [why for why in doubts if not indexes or why.problem.kind is not ProblemKind.ABSENT]
    if doubts:
        raise doubts[0]


def _judge_invalid(expectation: PostgresIndexes, answer: InvalidIndexes, findings: Findings) -> None:
    limit, here = expectation.invalid, findings.on(f"database {answer.database}")
    here.measure("invalid indexes", answer.total)
    severity = limit.severity(answer.total) if limit is not None else None
    if limit is None or severity is None:
        return
    cases = [
        found(
            findings,
            severity,
            observed=f"invalid, and nobody is building it ({format_bytes(one.bytes)}, of table {one.table})",
            expected=f"at most {limit.limit(answer.total)} invalid indexes, this database has {answer.total}",
            evidence=("a REINDEX CONCURRENTLY that failed left it behind",) if one.leftover else (),
            **_about(answer, one, DROP if one.leftover else REBUILD),
        )
        for one in answer.found
    ]
    report_worst(here, cases, total=answer.total, what="invalid indexes")


def _judge_duplicates(expectation: PostgresIndexes, answer: DuplicateIndexes, findings: Findings) -> None:
    limit, here = expectation.duplicates, findings.on(f"database {answer.database}")
    here.measure("duplicate indexes", answer.total)
    cases = [
        graded(
            findings,
            "duplicate index",
            ByteSize(one.bytes),
            limit,
            detail=f"{one.same_as} does the same for table {one.table}",
            evidence=(f"constraint {one.constraint} stands on it",) if one.constraint else (),
            **_about_duplicate(answer, one),
        )
        for one in answer.found
    ]
    report_worst(here, cases, total=answer.total, what="duplicate indexes")


def _judge_unused(expectation: PostgresIndexes, answer: UnusedIndexes, findings: Findings) -> None:
    if _unproven(expectation, answer) is not None:
        return
    limit, here = expectation.unused, findings.on(f"database {answer.database}")
    here.measure("unused indexes", answer.total)
    cases = [
        graded(
            findings,
            "unused index",
            ByteSize(one.bytes),
            limit,
            detail=f"of table {one.table}, "
            + (f"last used {one.last_scan:{_TIME}}" if one.last_scan else "not used since the server counts"),
            since=one.last_scan or answer.counted_since,
            evidence=_elsewhere(answer),
            **_about(answer, one, DROP_PARTITIONED if one.partitioned else DROP),
        )
        for one in answer.found
    ]
    report_worst(here, cases, total=answer.total, what="unused indexes")


def _about(answer: Answer, index: Index, remedy: Remedy, **facts: str) -> dict[str, Any]:
    """Its subject, and what to do where psql can connect to the database."""
    known = facts or {"schema": index.schema, "index": index.name}
    can = connectable(answer.database)
    return {
        "subject": f"{index.sql_name} in database {answer.database}",
        "remedies": (remedy,) if can else (),
        "facts": {"database": answer.database} | known if can else {},
    }


def _about_duplicate(answer: DuplicateIndexes, index: DuplicateIndex) -> dict[str, Any]:
    if not index.constraint:
        return _about(answer, index, DROP_PARTITIONED if index.partitioned else DROP)
    table = {"table_schema": index.table_schema, "table": index.table_name}
    return _about(answer, index, DROP_CONSTRAINT, constraint=index.constraint, **table)


def _unproven(expectation: PostgresIndexes, answer: UnusedIndexes) -> Problem | None:
    """Why the counters of a server prove nothing for so long a time."""
    if not answer.counts:
        text = "track_counts is off: the server does not count which indexes are used"
        return Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice="set track_counts = on, and reload")
    if answer.counted_since is None:
        return None
    counted = (answer.clock - answer.counted_since).total_seconds()
    if counted >= expectation.unused_for:
        return None
    text = (
        f"database {answer.database} has counted for {format_duration(counted)} only, since "
        f"{answer.counted_since:{_TIME}} (a new server, a crash or a reset): what was not used in "
        f"{expectation.unused_for} cannot be told"
    )
    left = format_duration(expectation.unused_for - counted)
    advice = f"look again in {left}, or give a shorter `unused_for`"
    return Problem(kind=ProblemKind.FIRST_SAMPLE, text=text, advice=advice)


def _no_index(database: str) -> Problem:
    text = f"there is no index in database {database}"
    return Problem(kind=ProblemKind.ABSENT, text=text, advice="name the databases that have indexes in `databases`")


def _elsewhere(answer: UnusedIndexes) -> tuple[str, ...]:
    """Where else to look before an index is dropped: counters are never replicated."""
    if answer.standby:
        return ("this is a standby: its primary, and other replicas, have counters of their own",)
    if answer.standbys:
        return (f"replicas have counters of their own, and {answer.standbys} stream from this server: ask there too",)
    return ()
