"""The statements of a PostgreSQL server."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from opscheck import Duration, Findings, Observe, Percentage
from opscheck.core.field_types import values
from opscheck.core.intervals import Interval, interval
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.units import format_duration
from opscheck.core.words import counted
from opscheck.systems.postgres.databases import connectable, none_matches
from opscheck.systems.postgres.queries import (
    EXPLAIN,
    RAISE_MAX,
    READ_PLANS,
    SHOW_STATEMENT,
    PostgresQueries,
    StatementCounters,
    StatementCounts,
    StatementText,
)

_GENERIC_PLAN_SINCE = 160_000
_TEXT_OF_EVIDENCE = 120
_NO_TEXT = "text unknown"


class Executed(NamedTuple):
    """The calls and execution time of one statement in the interval."""

    counts: StatementCounts
    calls: int
    seconds: float
    share: Percentage
    """Of the total execution time of all clients."""
    text: str

    @property
    def subject(self) -> str:
        nested = "" if self.counts.toplevel else ", executed by a function"
        return f"statement {self.counts.queryid} of {self.counts.role} in {self.counts.database}{nested}"

    @property
    def mean(self) -> Duration:
        return Duration(self.seconds / self.calls)


@dataclass(frozen=True)
class Workload:
    """The statements of a server in the interval."""

    over: Interval[StatementCounters]
    statements: tuple[Executed, ...]
    """The judged statements, the most execution time first."""
    seconds: float
    """Total execution time of all clients, utility statements included; time inside functions counts once."""
    incomparable: tuple[StatementCounts, ...]
    """Statements whose time in the interval is unknown, because the earlier answer omitted them."""


def test_statements_are_fast(expectation: PostgresQueries, observe: Observe, findings: Findings) -> None:
    """
    Statements stay within their time limits.

    A statement can become slow after a deployment, or because its table grew. It then holds a connection and the
    processors longer, until everything else waits.
    """
    done = _workload(expectation, observe)
    findings.measure("statements", len(done.statements))
    findings.measure("execution time", done.seconds, unit="s")
    for one in done.statements[: expectation.top]:
        findings.measure("calls", one.calls, subject=one.subject)
    for number, one in enumerate(done.statements):
        _judge_statement(expectation, done, one, findings, reported=number < expectation.top)
    _judge_load(expectation, done, findings.on(expectation.server))
    _judge_evictions(expectation, done, findings.on(expectation.server))
    _require_all(expectation, done)


def _judge_statement(
    expectation: PostgresQueries, done: Workload, one: Executed, findings: Findings, *, reported: bool
) -> None:
    counts, now = one.counts, done.over.now
    here = findings.on(
        one.subject, queryid=str(counts.queryid), extension_schema=now.extension_schema, database=counts.database
    )
    spent = f"{counted(one.calls, 'call')} {done.over.text}, {format_duration(one.seconds)}, {one.share} of all time"
    # psql reads a name with `=` or `://` as a connection string.
    has_plan = now.server_version >= _GENERIC_PLAN_SINCE and connectable(counts.database)
    remedies = (SHOW_STATEMENT, EXPLAIN) if has_plan else (SHOW_STATEMENT,)
    mean = expectation.mean if one.calls >= expectation.min_calls else None
    share = expectation.share if one.seconds > expectation.share_above else None
    for name, observed, limit in (
        ("mean execution time", one.mean, mean),
        ("share of execution time", one.share, share),
    ):
        if reported or (limit is not None and limit.severity(observed)):
            evidence = [one.text or _NO_TEXT, spent]
            here.grade(name, observed, limit, detail=done.over.text, evidence=evidence, remedies=remedies)


def _judge_load(expectation: PostgresQueries, done: Workload, findings: Findings) -> None:
    """The mean number of executing sessions. Raises CouldNotObserve where the interval's length is unknown."""
    if expectation.load is None:
        return
    if done.over.seconds is None:
        text = "the start of pg_stat_statements' counters is unknown before PostgreSQL 14"
        raise _unsupported(expectation, text, "leave out `first_sample: lifetime`, or `load`")
    findings.grade(
        "sessions executing",
        done.seconds / max(done.over.seconds, 1.0),
        expectation.load,
        detail=f"on average, {done.over.text}",
        evidence=[_line(one) for one in done.statements[: expectation.top]],
        remedies=(READ_PLANS,),
    )


def _judge_evictions(expectation: PostgresQueries, done: Workload, findings: Findings) -> None:
    """The number of evictions. Raises CouldNotObserve where they are not counted."""
    if expectation.evictions is None:
        return
    now, earlier = done.over.now.evictions, done.over.earlier.evictions if done.over.earlier else 0
    if now is None or earlier is None:
        advice = "leave out `evictions`, or ALTER EXTENSION pg_stat_statements UPDATE on PostgreSQL 14 or later"
        raise _unsupported(expectation, "evictions need pg_stat_statements 1.9 or later", advice)
    findings.grade(
        "evictions of statements",
        max(0, now - earlier),
        expectation.evictions,
        detail=done.over.text,
        remedies=(RAISE_MAX,),
        facts={"raised_max": 2 * done.over.now.most},
    )


def _require_all(expectation: PostgresQueries, done: Workload) -> None:
    """Raises CouldNotObserve when a statement that was not judged may exceed a limit."""
    now, least = done.over.now, _least_that_violates(expectation)
    text = ""
    if now.left_out_below is not None and now.left_out_below > least:
        text = f"{counted(now.found - len(now.statements), 'statement')} not read"
    elif unknown := [one for one in done.incomparable if one.milliseconds > least]:
        text = f"{counted(len(unknown), 'statement')} not in the earlier sample"
    if text:
        advice = "raise `min_calls` or `share_above`, or lower pg_stat_statements.max"
        raise _unsupported(expectation, f"{text}, and possibly beyond a limit", advice)


def _least_that_violates(expectation: PostgresQueries) -> float:
    """The execution time, in milliseconds, below which a statement is within every limit."""
    least = [min(values(expectation.mean)) * expectation.min_calls] if expectation.mean is not None else []
    if expectation.share is not None:
        least.append(float(expectation.share_above))
    return min(least, default=float("inf")) * 1000


def _workload(expectation: PostgresQueries, observe: Observe) -> Workload:
    """The statements since the earlier run. Raises CouldNotObserve."""
    over = interval(expectation, expectation.counters, observe)
    texts = {_place(one): one for one in observe(expectation.texts).texts}
    took, incomparable = _differences(over)
    _require_databases(expectation, observe)
    total = sum(seconds for counts, _, seconds in took if counts.toplevel)
    statements = (
        Executed(counts, calls, seconds, _share(seconds, total), texts[place].text if place in texts else "")
        for counts, calls, seconds in took
        for place in [_place(counts)]
        if calls and _is_judged(expectation, counts, texts)
    )
    ordered = tuple(sorted(statements, key=lambda one: -one.seconds))
    unknown = tuple(one for one in incomparable if _is_judged(expectation, one, texts))
    return Workload(over, ordered, total, unknown)


def _differences(
    over: Interval[StatementCounters],
) -> tuple[list[tuple[StatementCounts, int, float]], list[StatementCounts]]:
    """Calls and seconds of each statement in the interval, and the statements without known values."""
    before = {_key(one): one for one in over.earlier.statements} if over.earlier else {}
    cut = over.earlier is not None and over.earlier.left_out_below is not None
    took: list[tuple[StatementCounts, int, float]] = []
    incomparable: list[StatementCounts] = []
    for one in over.now.statements:
        earlier = before.get(_key(one))
        if earlier is None and cut:
            incomparable.append(one)
        elif earlier is None or _was_reset(earlier, one):
            took.append((one, one.calls, one.milliseconds / 1000))
        else:
            took.append((one, one.calls - earlier.calls, max(0.0, one.milliseconds - earlier.milliseconds) / 1000))
    return took, incomparable


def _key(counts: StatementCounts) -> tuple[str, str, int, bool]:
    return counts.role, counts.database, counts.queryid, counts.toplevel


def _place(one: StatementCounts | StatementText) -> tuple[str, int]:
    """The key of a statement's text: a queryid is only unique within its database."""
    return one.database, one.queryid


def _was_reset(earlier: StatementCounts, now: StatementCounts) -> bool:
    """True if its counters restarted, by an eviction or a reset."""
    return now.since != earlier.since or now.calls < earlier.calls or now.milliseconds < earlier.milliseconds


def _is_judged(
    expectation: PostgresQueries, counts: StatementCounts, texts: Mapping[tuple[str, int], StatementText]
) -> bool:
    text = texts.get(_place(counts))
    return expectation.means(counts.database, counts.role) and not (text is not None and text.utility)


def _require_databases(expectation: PostgresQueries, observe: Observe) -> None:
    if expectation.databases is None:
        return
    there = observe(expectation.names)
    if not any(map(expectation.means_database, there.names)):
        raise none_matches(expectation.names, expectation.databases, there)


def _unsupported(expectation: PostgresQueries, text: str, advice: str) -> CouldNotObserve:
    return CouldNotObserve(expectation.counters, Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=advice))


def _share(seconds: float, total: float) -> Percentage:
    return Percentage(min(100.0, 100.0 * seconds / total) if total else 0.0)


def _line(one: Executed) -> str:
    numbers = f"{counted(one.calls, 'call')}, mean {format_duration(one.mean)}, {one.share} of the execution time"
    text = one.text or _NO_TEXT
    return f"{numbers}: {text if len(text) <= _TEXT_OF_EVIDENCE else text[: _TEXT_OF_EVIDENCE - 2] + ' …'}"
