"""Vacuum and analyze of a PostgreSQL server."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from opscheck import Duration, Findings, Graded, Observe, Percentage, Remedy
from opscheck.core.findings import judge_all
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.units import format_duration
from opscheck.core.words import counted, some
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
"""Time of a table's last vacuum or analyze, the changes since, and the other parts of its finding."""


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
    """The holders of dead rows, for evidence; empty where unknown."""
    answer = observe.evidence(expectation.holders)
    return () if isinstance(answer, Problem) else answer.holders


def _judge_ages(expectation: PostgresVacuum, observe: Observe, findings: Findings) -> None:
    """The database with the highest transaction or multixact age; others beyond the limit are evidence."""
    if not expectation.judges_ages:
        return
    ages, holders = observe(expectation.ages), _holders(expectation, observe)
    xid_forced, multixact_forced = ages.freeze_max_age, ages.multixact_freeze_max_age
    for what, against, whole, limit in (
        ("xid", "", _LAST, expectation.xid_age),
        ("multixact", "", _LAST, expectation.multixact_age),
        ("xid", " relative to autovacuum_freeze_max_age", xid_forced, expectation.freeze_lag),
        ("multixact", " relative to autovacuum_multixact_freeze_max_age", multixact_forced, expectation.freeze_lag),
    ):
        if limit is not None:
            oldest, *others = sorted(ages.databases, key=lambda one: -_age(one, what))
            others_beyond = [
                f"{one.name} {share}" for one in others if limit.severity(share := _percent(_age(one, what), whole))
            ]
            about = _about_age(oldest, what, holders)
            about["evidence"] += [f"also beyond the limit: {some(others_beyond)}"] if others_beyond else []
            share, age = _percent(_age(oldest, what), whole), _age(oldest, what)
            detail = f"{age}, forced freezing at {whole}" if against else f"{age} of {whole}"
            findings.grade(f"{what} age{against}", share, limit, detail=detail, **about)


def _age(database: DatabaseAge, what: str) -> int:
    return database.xid_age if what == "xid" else database.multixact_age


def _about_age(database: DatabaseAge, what: str, holders: Holders) -> dict[str, Any]:
    """Its subject, the reason for its age, and the remedies."""
    # A snapshot keeps multixacts too, but its age is counted in transactions.
    holder = holder_of_age(holders, database.name, database.xid_age) if what == "xid" else None
    evidence: list[str] = []
    if holder is not None:
        evidence = [f"its age cannot fall below {holder.age}, because of {describe_holder(holder)}"]
    elif not database.connectable:
        evidence = ["it accepts no connections: only autovacuum freezes it"]
    remedies, facts = ending(holder)
    if database.connectable and connectable(database.name):
        remedies = (*remedies, FREEZE_XIDS if what == "xid" else FREEZE_MULTIXACTS)
        facts["database"] = database.name
    return {"subject": f"database {database.name}", "evidence": evidence, "remedies": remedies, "facts": facts}


def _judge_holders(expectation: PostgresVacuum, observe: Observe, findings: Findings) -> None:
    """Each holder beyond a limit, otherwise the worst: by transactions, and by time where it is known."""
    limit = expectation.oldest_xmin
    if limit is None:
        return
    answer = observe(expectation.holders)
    if not answer.holders:
        findings.grade("transactions held back", 0, limit, subject="oldest xmin")
    for one in _beyond(answer.holders, limit, lambda one: one.age):
        time = f", for {format_duration(_held(one, answer))}" if one.since else ""
        detail = f"vacuum keeps dead rows{time}"
        findings.grade("transactions held back", one.age, limit, detail=detail, **_about_holder(one))
    held = expectation.oldest_xmin_held
    if held is not None:
        dated = [one for one in answer.holders if one.since is not None]
        for one in _beyond(dated, held, lambda one: _held(one, answer)):
            detail = f"vacuum keeps dead rows, for {counted(one.age, 'transaction')}"
            findings.grade("time held back", _held(one, answer), held, detail=detail, **_about_holder(one))


def _beyond(
    holders: Sequence[XminHolder], limit: Graded[Any] | None, value: Callable[[XminHolder], float]
) -> list[XminHolder]:
    """The holders beyond the limit, otherwise the largest."""
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

    At the end raises CouldNotObserve where counters prove nothing, and where no database has a table.
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
    # With a table in any database, databases without one are not a problem.
    if not any(answer.tables for _, answer in judged):
        query, answer = judged[0]
        text = f"database {answer.database} has no tables"
        advice = "name the databases that have tables in `databases`"
        raise CouldNotObserve(query, Problem(kind=ProblemKind.ABSENT, text=text, advice=advice))


def unproven(expectation: PostgresVacuum, answer: Tables) -> Problem | None:
    """The problem if the counters of a database prove nothing."""
    if not answer.counts:
        text = "track_counts is off: dead and changed rows are not counted, and autovacuum does nothing"
        return Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice="set track_counts = on, and reload")
    if answer.standby:
        text = "standby: it does not count dead and changed rows"
        return Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice="name the primary in the target's dsn")
    since = answer.counted_since
    return None if since is None else _too_young(expectation, answer, since)


def _too_young(expectation: PostgresVacuum, answer: Tables, counted_since: datetime) -> Problem | None:
    age = seconds(counted_since, answer.clock)
    begun = f"counters of database {answer.database} began {format_duration(age)} ago, at {counted_since:{_TIME}}"
    if age < expectation.counted_for and answer.unanalyzed:
        text = f"{begun} (a new server, a crash or a reset): low counts prove nothing yet"
        advice = f"run again in {format_duration(expectation.counted_for - age)}, or run vacuumdb --analyze in it"
        return Problem(kind=ProblemKind.FIRST_SAMPLE, text=text, advice=advice)
    for limit, done, never in (
        (expectation.vacuumed_within, "vacuumed", [t for t in _written(expectation, answer) if not t.last_vacuum]),
        (expectation.analyzed_within, "analysed", [t for t in _changed(expectation, answer) if not t.last_analyze]),
    ):
        if limit is not None and age <= limit.steps[0][1] and never:
            text = f"{begun}; {never[0].sql_name} was not {done} since then"
            advice = "run vacuumdb --analyze in it, or run again later"
            return Problem(kind=ProblemKind.FIRST_SAMPLE, text=text, advice=advice)
    return None


def grade_tables(expectation: PostgresVacuum, answer: Tables, holders: Holders, findings: Findings) -> None:
    """The tables of one database; nothing where the server does not count."""
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
        detail = f"{one.dead} dead, {one.rows} live; autovacuum starts at {one.vacuum_trigger:.0f} dead"
        yield graded(findings, "dead rows relative to trigger", share, limit, detail=detail, **about)


def _stale(expectation: PostgresVacuum, answer: Tables, findings: Findings) -> Iterator[Case]:
    limit = expectation.stale_statistics
    changed = [] if limit is None else _changed(expectation, answer)
    judged = [one for one in changed if not one.partitioned and not one.never_analyzed]
    for one in sorted(judged, key=lambda one: -_percent(one.modified, one.analyze_trigger)):
        share, about = _percent(one.modified, one.analyze_trigger), _analyze_about(answer, one)
        about["since"] = one.last_analyze
        detail = f"{one.modified} changed since the last analyze; autovacuum starts at {one.analyze_trigger:.0f}"
        yield graded(findings, "changed rows relative to trigger", share, limit, detail=detail, **about)


def _never_analyzed(expectation: PostgresVacuum, answer: Tables, findings: Findings) -> Iterator[Case]:
    limit = expectation.stale_statistics
    for one in answer.named:
        if limit is not None and one.never_analyzed and one.rows > expectation.min_rows:
            observed = f"never analysed, with about {one.rows} rows"
            expected, about = "statistics for the planner", _analyze_about(answer, one)
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
    """The age of each vacuum or analyze; "never" only where the counters are older than the limit."""
    if limit is None:
        return
    lowest, longest = limit.steps[0]
    counts_longer = answer.counted_since is None or seconds(answer.counted_since, answer.clock) > longest
    for last, detail, about in works:
        if last is None and counts_longer:
            observed = f"never {done} ({detail.removesuffix(' since')})"
            yield found(findings, lowest, observed=observed, expected=f"{done} in the last {longest}", **about)
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
    last = f"last vacuumed {table.last_vacuum:{_TIME}}" if table.last_vacuum else "never vacuumed since counters began"
    evidence = [last, *_autovacuum_off(table)]
    if table.vacuum_runs:
        evidence.append("a vacuum is running on it")
    if holder is not None:
        evidence.append(f"vacuum cannot remove dead rows because of {describe_holder(holder)}")
    return _about(answer, table, VACUUM, evidence, holder)


def _analyze_about(answer: Tables, table: Table) -> dict[str, Any]:
    parent = ["parent of partitions: autovacuum analyses only the partitions"]
    return _about(answer, table, ANALYZE, parent if table.partitioned else _autovacuum_off(table))


def _about(
    answer: Tables, table: Table, remedy: Remedy, evidence: list[str], holder: XminHolder | None = None
) -> dict[str, Any]:
    """Its subject, evidence and remedies: end the holder of its rows first."""
    remedies, facts = ending(holder)
    if connectable(answer.database):
        remedies = (*remedies, *((ENABLE,) if table.disabled else ()), remedy)
        facts |= {"database": answer.database, "schema": table.schema, "table": table.name}
    name = f"{table.sql_name} in database {answer.database}"
    return {"subject": name, "evidence": evidence, "remedies": remedies, "facts": facts}


def _autovacuum_off(table: Table) -> list[str]:
    return [] if table.autovacuum or table.partitioned else ["autovacuum is disabled for it"]
