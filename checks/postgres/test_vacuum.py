"""Vacuum and analyze of a PostgreSQL server."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from opscheck import Duration, Findings, Graded, Observe, Percentage, Remedy
from opscheck.core.findings import judge_all
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.units import format_duration
from opscheck.systems.postgres.databases import connectable, each_database
from opscheck.systems.postgres.thresholds import Case, found, graded, report_worst
from opscheck.systems.postgres.vacuum import (
    ANALYZE,
    ENABLE,
    FREEZE_MULTIXACTS,
    FREEZE_XIDS,
    VACUUM,
    Ages,
    DatabaseAge,
    ListTables,
    PostgresVacuum,
    Table,
    Tables,
)
from opscheck.systems.postgres.xmin import (
    XminHolder,
    XminHolders,
    describe,
    ending,
    holder_of_age,
    holder_of_rows,
    subject,
)

_LAST = 2**31
_OTHERS = 5
_TIME = "%Y-%m-%d %H:%M:%S %Z"

Holders = tuple[XminHolder, ...]


def test_vacuum_keeps_up(expectation: PostgresVacuum, observe: Observe, findings: Findings) -> None:
    """
    Vacuum and analyze keep up with what is written.

    Dead rows that stay make tables and every scan of them larger; old statistics make plans slow over night; and a
    server that runs out of transaction numbers stops to write. One forgotten transaction or slot can be behind it all.
    """
    judge_all(
        lambda: _judge_ages(expectation, observe, findings),
        lambda: _judge_holders(expectation, observe, findings),
        lambda: _judge_tables(expectation, observe, findings),
    )


def _holders(expectation: PostgresVacuum, observe: Observe) -> Holders:
    """What keeps rows, for evidence; nothing where that is not known."""
    answer = observe.evidence(expectation.holders)
    return () if isinstance(answer, Problem) else answer.holders


def _judge_ages(expectation: PostgresVacuum, observe: Observe, findings: Findings) -> None:
    if expectation.judges_ages:
        grade_ages(expectation, observe(expectation.ages), _holders(expectation, observe), findings)


def grade_ages(expectation: PostgresVacuum, ages: Ages, holders: Holders, findings: Findings) -> None:
    """The oldest database of the server, in transactions and in multixacts; others beyond the limit are evidence."""
    for what, limit in (("xid", expectation.xid_age), ("multixact", expectation.multixact_age)):
        if limit is not None:
            oldest, *others = _oldest_first(ages, what)
            shares = ((one.name, _share(one, what, _LAST)) for one in others)
            also = _also([f"{name} {share}" for name, share in shares if limit.severity(share)])
            about = _about_age(oldest, what, holders)
            about |= {"detail": f"{_age(oldest, what)} of {_LAST}", "evidence": (*about["evidence"], *also)}
            findings.grade(f"{what} age", _share(oldest, what, _LAST), limit, **about)
    for what, setting, forced_at in (
        ("xid", "autovacuum_freeze_max_age", ages.freeze_max_age),
        ("multixact", "autovacuum_multixact_freeze_max_age", ages.multixact_freeze_max_age),
    ):
        if expectation.freeze_lag is not None:
            oldest, *_ = _oldest_first(ages, what)
            share, detail = _share(oldest, what, max(1, forced_at)), f"freezing is forced at {forced_at}"
            about = _about_age(oldest, what, holders) | {"detail": f"{_age(oldest, what)}, {detail}"}
            findings.grade(f"{what} age against {setting}", share, expectation.freeze_lag, **about)


def _oldest_first(ages: Ages, what: str) -> list[DatabaseAge]:
    return sorted(ages.databases, key=lambda one: -_age(one, what))


def _age(database: DatabaseAge, what: str) -> int:
    return database.xid_age if what == "xid" else database.multixact_age


def _share(database: DatabaseAge, what: str, whole: int) -> Percentage:
    return Percentage(100.0 * _age(database, what) / whole)


def _about_age(database: DatabaseAge, what: str, holders: Holders) -> dict[str, Any]:
    """Its subject, the reason for its age, and what to do."""
    # A snapshot keeps multixacts too, but its age is counted in transactions.
    holder = holder_of_age(holders, database.name, database.xid_age) if what == "xid" else None
    evidence: tuple[str, ...] = ()
    if holder is not None:
        evidence = (f"it cannot become younger than {holder.age}, which is held by {describe(holder)}",)
    elif not database.connectable:
        evidence = ("nobody may connect there: only autovacuum freezes it",)
    remedies, facts = ending(holder)
    if database.connectable and connectable(database.name):
        remedies = (*remedies, FREEZE_XIDS if what == "xid" else FREEZE_MULTIXACTS)
        facts["database"] = database.name
    return {"subject": f"database {database.name}", "evidence": evidence, "remedies": remedies, "facts": facts}


def _also(others: list[str]) -> tuple[str, ...]:
    more = f" and {len(others) - _OTHERS} more" if len(others) > _OTHERS else ""
    return (f"also beyond: {', '.join(others[:_OTHERS])}{more}",) if others else ()


def _judge_holders(expectation: PostgresVacuum, observe: Observe, findings: Findings) -> None:
    if expectation.judges_holders:
        grade_holders(expectation, observe(expectation.holders), findings)


def grade_holders(expectation: PostgresVacuum, answer: XminHolders, findings: Findings) -> None:
    """Each holder that is beyond a limit, else the worst: by transactions, and by time where that is known."""
    limit = expectation.oldest_xmin
    if not answer.holders:
        findings.grade("transactions kept", 0, limit, subject="oldest xmin")
    for one in _beyond(answer.holders, limit, lambda one: one.age):
        time = f", for {format_duration(_held(one, answer))}" if one.since else ""
        detail = f"dead rows must be kept since then{time}"
        findings.grade("transactions kept", one.age, limit, detail=detail, **_about_holder(one))
    held = expectation.oldest_xmin_held
    if held is not None:
        dated = [one for one in answer.holders if one.since is not None]
        for one in _beyond(dated, held, lambda one: _held(one, answer)):
            detail = f"dead rows must be kept since then, for {one.age} transactions"
            findings.grade("time kept", _held(one, answer), held, detail=detail, **_about_holder(one))


def _beyond(
    holders: Sequence[XminHolder], limit: Graded[Any] | None, value: Callable[[XminHolder], float]
) -> list[XminHolder]:
    """Those beyond the limit, else the largest."""
    beyond = [one for one in holders if limit is not None and limit.severity(value(one)) is not None]
    return beyond or sorted(holders, key=lambda one: -value(one))[:1]


def _about_holder(holder: XminHolder) -> dict[str, Any]:
    remedies, facts = ending(holder)
    about: dict[str, Any] = {"subject": subject(holder), "since": holder.since, "evidence": (describe(holder),)}
    return about | {"remedies": remedies, "facts": facts}


def _held(holder: XminHolder, answer: XminHolders) -> Duration:
    return Duration(max(0.0, (answer.clock - holder.since).total_seconds()) if holder.since else 0.0)


def _judge_tables(expectation: PostgresVacuum, observe: Observe, findings: Findings) -> None:
    """
    The tables of each database.

    At the end raises CouldNotObserve where counters prove nothing, and where there is no table in any of them.
    """
    if not expectation.judges_tables:
        return
    holders = _holders(expectation, observe)
    doubts: list[CouldNotObserve] = []
    tables = 0
    for query, answer in each_database(expectation, observe, ListTables):
        tables += answer.tables
        grade_tables(expectation, answer, holders, findings)
        doubts += [CouldNotObserve(query, why) for why in unproven(expectation, answer)]
        if not tables:
            text = f"there is no table in database {answer.database}"
            advice = "name the databases that have tables in `databases`"
            doubts.append(CouldNotObserve(query, Problem(kind=ProblemKind.ABSENT, text=text, advice=advice)))
    # One table in any database, and databases without are no doubt.
    doubts = [why for why in doubts if not tables or why.problem.kind is not ProblemKind.ABSENT]
    if doubts:
        raise doubts[0]


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


def grade_tables(expectation: PostgresVacuum, answer: Tables, holders: Holders, findings: Findings) -> None:
    """The tables of one database; none where the server does not count."""
    here = findings.on(f"database {answer.database}")
    here.measure("tables", answer.tables)
    if not answer.counts or answer.standby:
        return
    report = partial(report_worst, here)
    report(
        _dead(expectation, answer, holders, findings), total=answer.beyond_vacuum, what="tables with too many dead rows"
    )
    never = list(_never_analyzed(expectation, answer, findings))
    report(never, total=len(never), what="tables that were never analysed")
    report(_stale(expectation, answer, findings), total=answer.beyond_analyze, what="tables with stale statistics")
    report(
        _not_vacuumed(expectation, answer, holders, findings),
        total=answer.written,
        what="tables that were not vacuumed",
    )
    report(_not_analyzed(expectation, answer, findings), total=answer.modified, what="tables that were not analysed")


def _dead(expectation: PostgresVacuum, answer: Tables, holders: Holders, findings: Findings) -> Iterator[Case]:
    limit = expectation.dead_rows
    many = [one for one in answer.named if one.dead > expectation.min_rows and limit is not None]
    for one in sorted(many, key=lambda one: -_percent(one.dead, one.vacuum_trigger)):
        detail = f"{one.dead} dead beside {one.rows} live rows, autovacuum comes at {one.vacuum_trigger:.0f}"
        about = _vacuum_about(answer, one, holders)
        share = _percent(one.dead, one.vacuum_trigger)
        yield graded(findings, "dead rows against the trigger", share, limit, detail=detail, **about)


def _stale(expectation: PostgresVacuum, answer: Tables, findings: Findings) -> Iterator[Case]:
    limit = expectation.stale_statistics
    changed = [] if limit is None else _changed(expectation, answer)
    counted = [one for one in changed if not one.partitioned and not one.never_analyzed]
    for one in sorted(counted, key=lambda one: -_percent(one.modified, one.analyze_trigger)):
        detail = f"{one.modified} changed since it was analysed, autovacuum comes at {one.analyze_trigger:.0f}"
        about = _analyze_about(answer, one) | {"detail": detail, "since": one.last_analyze}
        share = _percent(one.modified, one.analyze_trigger)
        yield graded(findings, "changed rows against the trigger", share, limit, **about)


def _never_analyzed(expectation: PostgresVacuum, answer: Tables, findings: Findings) -> Iterator[Case]:
    limit = expectation.stale_statistics
    for one in answer.named if limit is not None else ():
        if limit is not None and one.never_analyzed and one.rows > expectation.min_rows:
            yield found(
                findings,
                limit.steps[-1][0],
                observed=f"never analysed, with about {one.rows} rows",
                expected="statistics, without which every plan is a guess",
                **_analyze_about(answer, one),
            )


def _not_vacuumed(expectation: PostgresVacuum, answer: Tables, holders: Holders, findings: Findings) -> Iterator[Case]:
    works = [
        (one.last_vacuum, f"{one.written} rows written since", _vacuum_about(answer, one, holders))
        for one in _written(expectation, answer)
    ]
    return _overdue(answer, "vacuumed", expectation.vacuumed_within, works, findings)


def _not_analyzed(expectation: PostgresVacuum, answer: Tables, findings: Findings) -> Iterator[Case]:
    works = [
        (
            one.last_analyze,
            "its partitions were since" if one.partitioned else f"{one.modified} rows changed since",
            _analyze_about(answer, one),
        )
        for one in _changed(expectation, answer)
    ]
    return _overdue(answer, "analysed", expectation.analyzed_within, works, findings)


def _overdue(
    answer: Tables,
    done: str,
    limit: Graded[Duration] | None,
    works: list[tuple[datetime | None, str, dict[str, Any]]],
    findings: Findings,
) -> Iterator[Case]:
    """How long ago each was done; never is reported where the server has counted for longer than the limit."""
    if limit is None:
        return
    mildest, longest = limit.steps[0]
    counts_longer = answer.counted_since is None or _since(answer, answer.counted_since) > longest
    for last, detail, about in works:
        if last is None and counts_longer:
            observed = f"never {done} ({detail.removesuffix(' since')})"
            yield found(findings, mildest, observed=observed, expected=f"{done} in the last {longest}", **about)
    dated = [(last, detail, about) for last, detail, about in works if last is not None]
    for last, detail, about in sorted(dated, key=lambda work: work[0]):
        yield graded(
            findings, f"last {done}", Duration(_since(answer, last)), limit, detail=detail, since=last, **about
        )


def _percent(rows: int, trigger: float) -> Percentage:
    return Percentage(100.0 * rows / max(1.0, trigger))


def _written(expectation: PostgresVacuum, answer: Tables) -> list[Table]:
    return [one for one in answer.named if one.written > expectation.min_rows]


def _changed(expectation: PostgresVacuum, answer: Tables) -> list[Table]:
    return [one for one in answer.named if one.modified > expectation.min_rows]


def _vacuum_about(answer: Tables, table: Table, holders: Holders) -> dict[str, Any]:
    holder = holder_of_rows(holders, answer.database, table.last_vacuum)
    last = f"last vacuumed {table.last_vacuum:{_TIME}}" if table.last_vacuum else "not vacuumed since it is counted"
    evidence = [last, *_autovacuum_off(table)]
    if table.vacuum_runs:
        evidence.append("a vacuum works on it now")
    if holder is not None:
        evidence.append(f"vacuum cannot remove what is kept for {describe(holder)}")
    return _about(answer, table, VACUUM, evidence, holder)


def _analyze_about(answer: Tables, table: Table) -> dict[str, Any]:
    if table.partitioned:
        evidence = ["it has partitions: autovacuum analyses them, and never their parent"]
    else:
        evidence = _autovacuum_off(table)
    return _about(answer, table, ANALYZE, evidence)


def _about(
    answer: Tables, table: Table, remedy: Remedy, evidence: list[str], holder: XminHolder | None = None
) -> dict[str, Any]:
    """Its subject and evidence, and what to do: end what keeps its rows, then work on it."""
    remedies, facts = ending(holder)
    if connectable(answer.database):
        remedies = (*remedies, *((ENABLE,) if table.disabled else ()), remedy)
        facts |= {"database": answer.database, "schema": table.schema, "table": table.name}
    return {
        "subject": f"{table.sql_name} in database {answer.database}",
        "evidence": evidence,
        "remedies": remedies,
        "facts": facts,
    }


def _autovacuum_off(table: Table) -> list[str]:
    return [] if table.autovacuum or table.partitioned else ["autovacuum is switched off for it"]


def _since(answer: Tables, then: datetime) -> float:
    return max(0.0, (answer.clock - then).total_seconds())
