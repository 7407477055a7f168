"""Which tables vacuum and analyze have left behind."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from opscheck.core.findings import Observe
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.units import Duration, Graded, Percentage, format_duration
from opscheck.systems.postgres.databases import connectable, each_database
from opscheck.systems.postgres.readings.facts import Number, Trouble, bounded
from opscheck.systems.postgres.readings.xmin import holder_facts, holder_of_rows, holders_aside, told
from opscheck.systems.postgres.vacuum import AskTables, PostgresVacuum, Table, Tables, XminHolder

_TIME = "%Y-%m-%d %H:%M:%S %Z"


def tables_behind(expectation: PostgresVacuum, observe: Observe) -> Iterator[Number | Trouble]:
    """
    What is wrong with tables, in each database.

    At the end raises CouldNotObserve where counters prove nothing, and where there is no table in any of them.
    """
    if not expectation.judges_tables:
        return
    holders = holders_aside(expectation, observe)
    doubts: list[CouldNotObserve] = []
    tables = 0
    for one in each_database(expectation, observe, AskTables):
        tables += one.answer.tables
        yield from judged(expectation, one.answer, holders)
        doubts += [CouldNotObserve(one.query, why) for why in unproven(expectation, one.answer)]
        if not tables:
            doubts.append(CouldNotObserve(one.query, _no_table(one.answer.database)))
    # One table in any database, and those without are nothing to wonder about.
    doubts = [why for why in doubts if not tables or why.problem.kind is not ProblemKind.ABSENT]
    if doubts:
        raise doubts[0]


def judged(expectation: PostgresVacuum, answer: Tables, holders: tuple[XminHolder, ...]) -> Iterator[Number | Trouble]:
    """What is wrong with the tables of one database; nothing where the server does not count."""
    yield Number(name="tables", observed=answer.tables, limit=None, subject=f"database {answer.database}")
    if answer.counts and not answer.standby:
        yield from _dead(expectation, answer, holders)
        yield from _never_analyzed(expectation, answer)
        yield from _stale(expectation, answer)
        yield from _not_vacuumed(expectation, answer, holders)
        yield from _not_analyzed(expectation, answer)


def unproven(expectation: PostgresVacuum, answer: Tables) -> Iterator[Problem]:
    """Why what the counters of a database do not show may be there all the same."""
    if not answer.counts:
        yield Problem(
            kind=ProblemKind.UNSUPPORTED,
            text="track_counts is off: the server counts no dead and no changed rows, and autovacuum does nothing",
            advice="set track_counts = on, and reload",
        )
    elif answer.standby:
        yield Problem(
            kind=ProblemKind.UNSUPPORTED,
            text="this is a standby: it counts no dead and no changed rows",
            advice="name the primary in the target's dsn",
        )
    elif answer.counted_since is not None:
        yield from _too_young(expectation, answer, answer.counted_since)


def _too_young(expectation: PostgresVacuum, answer: Tables, counted_since: datetime) -> Iterator[Problem]:
    counted = _since(answer, counted_since)
    begun = f"database {answer.database} has counted for {format_duration(counted)} only, since {counted_since:{_TIME}}"
    if counted < expectation.counted_for and answer.unanalyzed:
        text = f"{begun} (a new server, a crash or a reset): few dead or changed rows prove nothing yet"
        advice = f"look again in {format_duration(expectation.counted_for - counted)}, or run vacuumdb --analyze in it"
        yield Problem(kind=ProblemKind.FIRST_SAMPLE, text=text, advice=advice)
    never = [
        (one, done)
        for limit, done, tables in (
            (expectation.vacuumed_within, "vacuumed", [t for t in _written(expectation, answer) if not t.last_vacuum]),
            (expectation.analyzed_within, "analysed", [t for t in _changed(expectation, answer) if not t.last_analyze]),
        )
        if limit is not None and counted <= limit.steps[0][1]
        for one in tables
    ]
    if never:
        table, done = never[0]
        text = f"{begun}, and {table.sql_name} was not {done} in that time; before, nobody knows"
        yield Problem(kind=ProblemKind.FIRST_SAMPLE, text=text, advice=f"have it {done}, or look again later")


def _no_table(database: str) -> Problem:
    text = f"there is no table in database {database}"
    return Problem(kind=ProblemKind.ABSENT, text=text, advice="name the databases that have tables in `databases`")


def _dead(expectation: PostgresVacuum, answer: Tables, holders: tuple[XminHolder, ...]) -> Iterator[Number | Trouble]:
    limit = expectation.dead_rows
    many = [one for one in answer.named if one.dead > expectation.min_rows]
    tables = sorted(many, key=lambda one: -_share(one.dead, one.vacuum_trigger))
    numbers = [
        Number(
            name="dead rows against the trigger",
            observed=Percentage(_share(one.dead, one.vacuum_trigger)),
            limit=limit,
            subject=_subject(answer, one),
            detail=f"{one.dead} dead beside {one.rows} live rows, autovacuum comes at {one.vacuum_trigger:.0f}",
            evidence=_vacuum_evidence(answer, one, holders),
            facts=_vacuum_facts(answer, one, holders),
        )
        for one in tables
    ]
    yield from bounded(numbers, limit, answer.beyond_vacuum, _place(answer), "tables with too many dead rows")


def _never_analyzed(expectation: PostgresVacuum, answer: Tables) -> Iterator[Number | Trouble]:
    if expectation.stale_statistics is None:
        return
    severity = expectation.stale_statistics.steps[-1][0]
    never = [one for one in answer.named if one.never_analyzed and one.rows > expectation.min_rows]
    troubles = [
        Trouble(
            subject=_subject(answer, one),
            observed=f"never analysed, with about {one.rows} rows",
            expected="statistics, without which every plan is a guess",
            severity=severity,
            evidence=_analyze_evidence(one),
            facts=_analyze_facts(answer, one),
        )
        for one in never
    ]
    yield from bounded(troubles, None, len(troubles), _place(answer), "tables that were never analysed")


def _stale(expectation: PostgresVacuum, answer: Tables) -> Iterator[Number | Trouble]:
    limit = expectation.stale_statistics
    changed = [one for one in _changed(expectation, answer) if not one.partitioned and not one.never_analyzed]
    counted = sorted(changed, key=lambda one: -_share(one.modified, one.analyze_trigger))
    numbers = [
        Number(
            name="changed rows against the trigger",
            observed=Percentage(_share(one.modified, one.analyze_trigger)),
            limit=limit,
            subject=_subject(answer, one),
            detail=f"{one.modified} changed since it was analysed, autovacuum comes at {one.analyze_trigger:.0f}",
            since=one.last_analyze,
            evidence=_analyze_evidence(one),
            facts=_analyze_facts(answer, one),
        )
        for one in counted
    ]
    yield from bounded(numbers, limit, answer.beyond_analyze, _place(answer), "tables with stale statistics")


def _not_vacuumed(
    expectation: PostgresVacuum, answer: Tables, holders: tuple[XminHolder, ...]
) -> Iterator[Number | Trouble]:
    limit = expectation.vacuumed_within
    works = [
        _Work(
            answer=answer,
            table=one,
            done="vacuumed",
            last=one.last_vacuum,
            detail=f"{one.written} rows written since",
            evidence=_vacuum_evidence(answer, one, holders),
            facts=_vacuum_facts(answer, one, holders),
        )
        for one in _written(expectation, answer)
    ]
    yield from bounded(_overdue(works, limit), limit, answer.written, _place(answer), "tables that were not vacuumed")


def _not_analyzed(expectation: PostgresVacuum, answer: Tables) -> Iterator[Number | Trouble]:
    limit = expectation.analyzed_within
    works = [
        _Work(
            answer=answer,
            table=one,
            done="analysed",
            last=one.last_analyze,
            detail="its partitions were since" if one.partitioned else f"{one.modified} rows changed since",
            evidence=_analyze_evidence(one),
            facts=_analyze_facts(answer, one),
        )
        for one in _changed(expectation, answer)
    ]
    yield from bounded(_overdue(works, limit), limit, answer.modified, _place(answer), "tables that were not analysed")


@dataclass(frozen=True, kw_only=True)
class _Work:
    """What a table waits for, and since when."""

    answer: Tables
    table: Table
    done: str
    last: datetime | None
    detail: str
    evidence: tuple[str, ...]
    facts: dict[str, str]


def _overdue(works: list[_Work], limit: Graded[Duration] | None) -> list[Number | Trouble]:
    """How long ago each was done; never is told where the server has counted for longer than the limit."""
    if limit is None:
        return []
    done = sorted((one for one in works if one.last is not None), key=lambda one: one.last or one.answer.clock)
    never = [one for one in works if one.last is None and _counts_longer(one.answer, limit)]
    return [*(_never(one, limit) for one in never), *(_ago(one, limit) for one in done)]


def _ago(work: _Work, limit: Graded[Duration]) -> Number:
    return Number(
        name=f"last {work.done}",
        observed=Duration(_since(work.answer, work.last or work.answer.clock)),
        limit=limit,
        subject=_subject(work.answer, work.table),
        detail=work.detail,
        since=work.last,
        evidence=work.evidence,
        facts=work.facts,
    )


def _never(work: _Work, limit: Graded[Duration]) -> Trouble:
    severity, longest = limit.steps[0]
    return Trouble(
        subject=_subject(work.answer, work.table),
        observed=f"never {work.done} ({work.detail.removesuffix(' since')})",
        expected=f"{work.done} in the last {longest}",
        severity=severity,
        evidence=work.evidence,
        facts=work.facts,
    )


def _counts_longer(answer: Tables, limit: Graded[Duration]) -> bool:
    return answer.counted_since is None or _since(answer, answer.counted_since) > limit.steps[0][1]


def _written(expectation: PostgresVacuum, answer: Tables) -> list[Table]:
    return [one for one in answer.named if one.written > expectation.min_rows]


def _changed(expectation: PostgresVacuum, answer: Tables) -> list[Table]:
    return [one for one in answer.named if one.modified > expectation.min_rows]


def _vacuum_evidence(answer: Tables, table: Table, holders: tuple[XminHolder, ...]) -> tuple[str, ...]:
    holder = holder_of_rows(holders, answer.database, table.last_vacuum)
    last = f"last vacuumed {table.last_vacuum:{_TIME}}" if table.last_vacuum else "not vacuumed since it is counted"
    lines = [last, *_autovacuum_off(table)]
    if table.vacuum_runs:
        lines.append("a vacuum works on it now")
    if holder is not None:
        lines.append(f"vacuum cannot remove what is kept for {told(holder)}")
    return tuple(lines)


def _analyze_evidence(table: Table) -> tuple[str, ...]:
    if table.partitioned:
        return ("it has partitions: autovacuum analyses them, and never their parent",)
    return tuple(_autovacuum_off(table))


def _autovacuum_off(table: Table) -> list[str]:
    return [] if table.autovacuum or table.partitioned else ["autovacuum is switched off for it"]


def _vacuum_facts(answer: Tables, table: Table, holders: tuple[XminHolder, ...]) -> dict[str, str]:
    holder = holder_of_rows(holders, answer.database, table.last_vacuum)
    return _table_facts(answer, table, "vacuum_table") | holder_facts(holder)


def _analyze_facts(answer: Tables, table: Table) -> dict[str, str]:
    return _table_facts(answer, table, "analyze_table")


def _table_facts(answer: Tables, table: Table, name: str) -> dict[str, str]:
    if not connectable(answer.database):
        return {}
    facts = {"database": answer.database, "schema": table.schema, name: table.name}
    return facts | ({"disabled_table": table.name} if table.disabled else {})


def _subject(answer: Tables, table: Table) -> str:
    return f"{table.sql_name} in database {answer.database}"


def _place(answer: Tables) -> str:
    return f"database {answer.database}"


def _share(rows: int, trigger: float) -> float:
    return 100.0 * rows / max(1.0, trigger)


def _since(answer: Tables, then: datetime) -> float:
    return max(0.0, (answer.clock - then).total_seconds())
