"""Which indexes of a database serve nobody."""

from collections.abc import Callable, Iterator
from typing import TypeAlias, TypeVar

from opscheck.core.findings import Observe
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.units import ByteSize, format_bytes, format_duration
from opscheck.systems.postgres.databases import DatabaseQuery, connectable, each_database
from opscheck.systems.postgres.indexes import (
    AskDuplicateIndexes,
    AskInvalidIndexes,
    AskUnusedIndexes,
    DuplicateIndex,
    DuplicateIndexes,
    Index,
    InvalidIndexes,
    PostgresIndexes,
    UnusedIndex,
    UnusedIndexes,
)
from opscheck.systems.postgres.readings.facts import Number, Trouble, bounded

_TIME = "%Y-%m-%d %H:%M:%S %Z"

Answer: TypeAlias = InvalidIndexes | DuplicateIndexes | UnusedIndexes
A = TypeVar("A", InvalidIndexes, DuplicateIndexes, UnusedIndexes)


def invalid_indexes(expectation: PostgresIndexes, observe: Observe) -> Iterator[Number | Trouble]:
    """The invalid indexes of each database. Raises CouldNotObserve at the end, as the other two do."""
    if expectation.invalid is not None:
        yield from _each(expectation, observe, AskInvalidIndexes, _invalid)


def duplicate_indexes(expectation: PostgresIndexes, observe: Observe) -> Iterator[Number | Trouble]:
    """The duplicates of each database."""
    if expectation.duplicates is not None:
        yield from _each(expectation, observe, AskDuplicateIndexes, _duplicates)


def unused_indexes(expectation: PostgresIndexes, observe: Observe) -> Iterator[Number | Trouble]:
    """The unused indexes of each database; what a server has not counted long enough is unknown."""
    if expectation.unused is not None:
        yield from _each(expectation, observe, AskUnusedIndexes, _unused)


def _each(
    expectation: PostgresIndexes,
    observe: Observe,
    kind: type[DatabaseQuery[A]],
    judged: Callable[[PostgresIndexes, A], Iterator[Number | Trouble]],
) -> Iterator[Number | Trouble]:
    """One kind of trouble in each database; a doubt about one does not stop the others."""
    doubts: list[CouldNotObserve] = []
    indexes = 0
    for one in each_database(expectation, observe, kind):
        yield from judged(expectation, one.answer)
        indexes += one.answer.indexes
        if not indexes:
            doubts.append(CouldNotObserve(one.query, _no_index(one.answer.database)))
        elif isinstance(one.answer, UnusedIndexes) and (why := unproven(expectation, one.answer)):
            doubts.append(CouldNotObserve(one.query, why))
    # One index in any database, and those without are nothing to wonder about.
    doubts = [why for why in doubts if not indexes or why.problem.kind is not ProblemKind.ABSENT]
    if doubts:
        raise doubts[0]


def unproven(expectation: PostgresIndexes, answer: UnusedIndexes) -> Problem | None:
    """Why a server cannot tell what was used for so long."""
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


def _invalid(expectation: PostgresIndexes, answer: InvalidIndexes) -> Iterator[Number | Trouble]:
    limit = expectation.invalid
    place = f"database {answer.database}"
    severity = None if limit is None else limit.severity(answer.total)
    yield Number(name="invalid indexes", observed=answer.total, limit=None, subject=place)
    if limit is None or severity is None:
        return
    troubles = [
        Trouble(
            subject=_subject(answer, one),
            observed=f"invalid, and nobody is building it ({format_bytes(one.bytes)}, of table {one.table})",
            expected=f"at most {limit.limit(answer.total)} invalid indexes, this database has {answer.total}",
            severity=severity,
            evidence=("a REINDEX CONCURRENTLY that failed left it behind",) if one.leftover else (),
            facts=_facts(answer, one, "superfluous_index" if one.leftover else "invalid_index"),
        )
        for one in answer.found
    ]
    yield from bounded(troubles, None, answer.total, place, "invalid indexes")


def _duplicates(expectation: PostgresIndexes, answer: DuplicateIndexes) -> Iterator[Number | Trouble]:
    place = f"database {answer.database}"
    yield Number(name="duplicate indexes", observed=answer.total, limit=None, subject=place)
    numbers = [
        Number(
            name="duplicate index",
            observed=ByteSize(one.bytes),
            limit=expectation.duplicates,
            subject=_subject(answer, one),
            detail=f"{one.same_as} does the same for table {one.table}",
            evidence=(f"constraint {one.constraint} stands on it",) if one.constraint else (),
            facts=_duplicate_facts(answer, one),
        )
        for one in answer.found
    ]
    yield from bounded(numbers, expectation.duplicates, answer.total, place, "duplicate indexes")


def _unused(expectation: PostgresIndexes, answer: UnusedIndexes) -> Iterator[Number | Trouble]:
    if unproven(expectation, answer) is not None:
        return
    place = f"database {answer.database}"
    yield Number(name="unused indexes", observed=answer.total, limit=None, subject=place)
    numbers = [
        Number(
            name="unused index",
            observed=ByteSize(one.bytes),
            limit=expectation.unused,
            subject=_subject(answer, one),
            detail=f"of table {one.table}, {_use(one)}",
            since=one.last_scan or answer.counted_since,
            evidence=_elsewhere(answer),
            facts=_facts(answer, one, "partitioned_index" if one.partitioned else "superfluous_index"),
        )
        for one in answer.found
    ]
    yield from bounded(numbers, expectation.unused, answer.total, place, "unused indexes")


def _use(index: UnusedIndex) -> str:
    if index.last_scan is not None:
        return f"last used {index.last_scan:{_TIME}}"
    return "not used since the server counts"


def _elsewhere(answer: UnusedIndexes) -> tuple[str, ...]:
    """Whom to ask before an index is dropped: counters are never replicated."""
    if answer.standby:
        return ("this is a standby: its primary, and other replicas, have counters of their own",)
    if answer.standbys:
        return (f"replicas have counters of their own, and {answer.standbys} stream from this server: ask there too",)
    return ()


def _duplicate_facts(answer: DuplicateIndexes, index: DuplicateIndex) -> dict[str, str]:
    if not index.constraint:
        return _facts(answer, index, "partitioned_index" if index.partitioned else "superfluous_index")
    if not connectable(answer.database):
        return {}
    table = {"table_schema": index.table_schema, "table": index.table_name}
    return {"database": answer.database, **table, "superfluous_constraint": index.constraint}


def _facts(answer: Answer, index: Index, name: str) -> dict[str, str]:
    if not connectable(answer.database):
        return {}
    return {"database": answer.database, "schema": index.schema, name: index.name}


def _subject(answer: Answer, index: Index) -> str:
    return f"{index.sql_name} in database {answer.database}"
