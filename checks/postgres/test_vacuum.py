"""Vacuum and analyze of a PostgreSQL server."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from opscheck import Duration, Findings, Graded, Observe, Percentage, Remedy
from opscheck.core.findings import judge_all
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.units import format_duration
from opscheck.core.words import some
from opscheck.systems.postgres.databases import connectable, each_database
from opscheck.systems.postgres.sessions import seconds
from opscheck.systems.postgres.thresholds import Case, found, graded, report_worst
from opscheck.systems.postgres.vacuum import (
    ANALYZE,
    ENABLE,
    FREEZE_MULTIXACTS,
    FREEZE_XIDS,
    VACUUM,
    DatabaseAge,
    ListTables,
    PostgresVacuum,
    Table,
    Tables,
    XminHolder,
    XminHolders,
    describe_holder,
    ending,
    holder_name,
    holder_of_age,
    holder_of_rows,
)

_LAST = 2**31
_TIME = "%Y-%m-%d %H:%M:%S %Z"

Holders: TypeAlias = tuple[XminHolder, ...]
Work: TypeAlias = tuple[datetime | None, str, dict[str, Any]]
"""When a table was last worked on, what has changed since, and what else its finding takes."""


def test_vacuum_keeps_up(expectation: PostgresVacuum, observe: Observe, findings: Findings) -> None:
    """
    Vacuum and analyze keep up with the writes.

    Dead rows make tables and scans larger, old statistics make plans slow, and a server without transaction IDs stops
    writing. One forgotten transaction or slot can cause all of it.
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
    """The oldest database of the server, in transactions and in multixacts; others beyond the limit are evidence."""
    if not expectation.judges_ages:
        return
    ages, holders = observe(expectation.ages), _holders(expectation, observe)
    xid_forced, multixact_forced = ages.freeze_max_age, ages.multixact_freeze_max_age
    for what, against, whole, limit in (
        ("xid", "", _LAST, expectation.xid_age),
        ("multixact", "", _LAST, expectation.multixact_age),
        ("xid", " against autovacuum_freeze_max_age", xid_forced, expectation.freeze_lag),
        ("multixact", " against autovacuum_multixact_freeze_max_age", multixact_forced, expectation.freeze_lag),
    ):
        if limit is not None:
            oldest, *others = sorted(ages.databases, key=lambda one: -_age(one, what))
            also = [
                f"{one.name} {share}" for one in others if limit.severity(share := _percent(_age(one, what), whole))
            ]
            about = _about_age(oldest, what, holders)
            about["evidence"] += [f"also beyond: {some(also)}"] if also else []
            share, age = _percent(_age(oldest, what), whole), _age(oldest, what)
            detail = f"{age}, freezing is forced at {whole}" if against else f"{age} of {whole}"
            findings.grade(f"{what} age{against}", share, limit, detail=detail, **about)


def _age(database: DatabaseAge, what: str) -> int:
    return database.xid_age if what == "xid" else database.multixact_age


def _about_age(database: DatabaseAge, what: str, holders: Holders) -> dict[str, Any]:
    """Its subject, the reason for its age, and what to do."""
    # A snapshot keeps multixacts too, but its age is counted in transactions.
    holder = holder_of_age(holders, database.name, database.xid_age) if what == "xid" else None
    evidence: list[str] = []
    if holder is not None:
        evidence = [f"it cannot become younger than {holder.age}, which is held by {describe_holder(holder)}"]
    elif not database.connectable:
        evidence = ["nobody may connect there: only autovacuum freezes it"]
    remedies, facts = ending(holder)
    if database.connectable and connectable(database.name):
        remedies = (*remedies, FREEZE_XIDS if what == "xid" else FREEZE_MULTIXACTS)
        facts["database"] = database.name
    return {"subject": f"database {database.name}", "evidence": evidence, "remedies": remedies, "facts": facts}


def _judge_holders(expectation: PostgresVacuum, observe: Observe, findings: Findings) -> None:
    """Each holder that is beyond a limit, else the worst: by transactions, and by time where that is known."""
    limit = expectation.oldest_xmin
    if limit is None:
        return
    answer = observe(expectation.holders)
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
    about = {"subject": holder_name(holder), "since": holder.since, "evidence": (describe_holder(holder),)}
    return about | {"remedies": remedies, "facts": facts}


def _held(holder: XminHolder, answer: XminHolders) -> Duration:
    return Duration(seconds(holder.since, answer.clock) if holder.since else 0.0)


def _judge_tables(expectation: PostgresVacuum, observe: Observe, findings: Findings) -> None:
    """
    The tables of each database.

    At the end raises CouldNotObserve where counters prove nothing, and where there is no table in any of them.
    """
    if not expectation.judges_tables:
        return
    holders = _holders(expectation, observe)
    judged = []
    for query, answer in each_database(expectation, observe, ListTables):
        grade_tables(expectation, answer, holders, findings)
        judged.append((query, answer))
    for query, answer in judged:
        if (doubt := unproven(expectation, answer)) is not None:
            raise CouldNotObserve(query, doubt)
    # One table in any database, and databases without are no doubt.
    if not any(answer.tables for _, answer in judged):
        query, answer = judged[0]
        text = f"there is no table in database {answer.database}"
        advice = "name the databases that have tables in `databases`"
        raise CouldNotObserve(query, Problem(kind=ProblemKind.ABSENT, text=text, advice=advice))


def unproven(expectation: PostgresVacuum, answer: Tables) -> Problem | None:
    """Why what the counters of a database do not show may be there all the same."""
    if not answer.counts:
        text = "track_counts is off: the server counts no dead and no changed rows, and autovacuum does nothing"
        return Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice="set track_counts = on, and reload")
    if answer.standby:
        text = "this is a standby: it counts no dead and no changed rows"
        return Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice="name the primary in the target's dsn")
    since = answer.counted_since
    return None if since is None else _too_young(expectation, answer, since)


def _too_young(expectation: PostgresVacuum, answer: Tables, counted_since: datetime) -> Problem | None:
    counted = seconds(counted_since, answer.clock)
    begun = f"database {answer.database} has counted for {format_duration(counted)} only, since {counted_since:{_TIME}}"
    if counted < expectation.counted_for and answer.unanalyzed:
        text = f"{begun} (a new server, a crash or a reset): few dead or changed rows prove nothing yet"
        advice = f"look again in {format_duration(expectation.counted_for - counted)}, or run vacuumdb --analyze in it"
        return Problem(kind=ProblemKind.FIRST_SAMPLE, text=text, advice=advice)
    for limit, done, never in (
        (expectation.vacuumed_within, "vacuumed", [t for t in _written(expectation, answer) if not t.last_vacuum]),
        (expectation.analyzed_within, "analysed", [t for t in _changed(expectation, answer) if not t.last_analyze]),
    ):
        if limit is not None and counted <= limit.steps[0][1] and never:
            text = f"{begun}, and {never[0].sql_name} was not {done} in that time; before, nobody knows"
            advice = f"have it {done}, or look again later"
            return Problem(kind=ProblemKind.FIRST_SAMPLE, text=text, advice=advice)
    return None


def grade_tables(expectation: PostgresVacuum, answer: Tables, holders: Holders, findings: Findings) -> None:
    """The tables of one database; none where the server does not count."""
    here = findings.on(f"database {answer.database}")
    here.measure("tables", answer.tables)
    if not answer.counts or answer.standby:
        return
    never = list(_never_analyzed(expectation, answer, findings))
    for cases, total, what in (
        (_dead(expectation, answer, holders, findings), answer.beyond_vacuum, "with too many dead rows"),
        (never, len(never), "that were never analysed"),
        (_stale(expectation, answer, findings), answer.beyond_analyze, "with stale statistics"),
        (_not_vacuumed(expectation, answer, holders, findings), answer.written, "that were not vacuumed"),
        (_not_analyzed(expectation, answer, findings), answer.modified, "that were not analysed"),
    ):
        report_worst(here, cases, total=total, what=f"tables {what}")


def _dead(expectation: PostgresVacuum, answer: Tables, holders: Holders, findings: Findings) -> Iterator[Case]:
    limit = expectation.dead_rows
    many = [one for one in answer.named if one.dead > expectation.min_rows and limit is not None]
    for one in sorted(many, key=lambda one: -_percent(one.dead, one.vacuum_trigger)):
        share, about = _percent(one.dead, one.vacuum_trigger), _vacuum_about(answer, one, holders)
        detail = f"{one.dead} dead beside {one.rows} live rows, autovacuum comes at {one.vacuum_trigger:.0f}"
        yield graded(findings, "dead rows against the trigger", share, limit, detail=detail, **about)


def _stale(expectation: PostgresVacuum, answer: Tables, findings: Findings) -> Iterator[Case]:
    limit = expectation.stale_statistics
    changed = [] if limit is None else _changed(expectation, answer)
    counted = [one for one in changed if not one.partitioned and not one.never_analyzed]
    for one in sorted(counted, key=lambda one: -_percent(one.modified, one.analyze_trigger)):
        share, about = _percent(one.modified, one.analyze_trigger), _analyze_about(answer, one)
        about["since"] = one.last_analyze
        detail = f"{one.modified} changed since it was analysed, autovacuum comes at {one.analyze_trigger:.0f}"
        yield graded(findings, "changed rows against the trigger", share, limit, detail=detail, **about)


def _never_analyzed(expectation: PostgresVacuum, answer: Tables, findings: Findings) -> Iterator[Case]:
    limit = expectation.stale_statistics
    for one in answer.named:
        if limit is not None and one.never_analyzed and one.rows > expectation.min_rows:
            observed = f"never analysed, with about {one.rows} rows"
            expected, about = "statistics, without which every plan is a guess", _analyze_about(answer, one)
            yield found(findings, limit.steps[-1][0], observed=observed, expected=expected, **about)


def _not_vacuumed(expectation: PostgresVacuum, answer: Tables, holders: Holders, findings: Findings) -> Iterator[Case]:
    works = [
        (one.last_vacuum, f"{one.written} rows written since", _vacuum_about(answer, one, holders))
        for one in _written(expectation, answer)
    ]
    return _overdue(answer, "vacuumed", expectation.vacuumed_within, works, findings)


def _not_analyzed(expectation: PostgresVacuum, answer: Tables, findings: Findings) -> Iterator[Case]:
    works = []
    for one in _changed(expectation, answer):
        detail = "its partitions were since" if one.partitioned else f"{one.modified} rows changed since"
        works.append((one.last_analyze, detail, _analyze_about(answer, one)))
    return _overdue(answer, "analysed", expectation.analyzed_within, works, findings)


def _overdue(
    answer: Tables, done: str, limit: Graded[Duration] | None, works: Iterable[Work], findings: Findings
) -> Iterator[Case]:
    """How long ago each was done; never is reported where the server has counted for longer than the limit."""
    if limit is None:
        return
    mildest, longest = limit.steps[0]
    counts_longer = answer.counted_since is None or seconds(answer.counted_since, answer.clock) > longest
    for last, detail, about in works:
        if last is None and counts_longer:
            observed = f"never {done} ({detail.removesuffix(' since')})"
            yield found(findings, mildest, observed=observed, expected=f"{done} in the last {longest}", **about)
    dated = [(last, detail, about) for last, detail, about in works if last is not None]
    for last, detail, about in sorted(dated, key=lambda work: work[0]):
        age = Duration(seconds(last, answer.clock))
        yield graded(findings, f"last {done}", age, limit, detail=detail, since=last, **about)


def _percent(part: int, whole: float) -> Percentage:
    return Percentage(100.0 * part / max(1.0, whole))


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
        evidence.append(f"vacuum cannot remove what is kept for {describe_holder(holder)}")
    return _about(answer, table, VACUUM, evidence, holder)


def _analyze_about(answer: Tables, table: Table) -> dict[str, Any]:
    parent = ["it has partitions: autovacuum analyses them, and never their parent"]
    return _about(answer, table, ANALYZE, parent if table.partitioned else _autovacuum_off(table))


def _about(
    answer: Tables, table: Table, remedy: Remedy, evidence: list[str], holder: XminHolder | None = None
) -> dict[str, Any]:
    """Its subject and evidence, and what to do: end what keeps its rows, then work on it."""
    remedies, facts = ending(holder)
    if connectable(answer.database):
        remedies = (*remedies, *((ENABLE,) if table.disabled else ()), remedy)
        facts |= {"database": answer.database, "schema": table.schema, "table": table.name}
    name = f"{table.sql_name} in database {answer.database}"
    return {"subject": name, "evidence": evidence, "remedies": remedies, "facts": facts}


def _autovacuum_off(table: Table) -> list[str]:
    return [] if table.autovacuum or table.partitioned else ["autovacuum is switched off for it"]
