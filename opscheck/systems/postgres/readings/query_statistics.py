"""What statements took between two runs."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from opscheck.core.findings import Observe
from opscheck.core.intervals import Interval, interval
from opscheck.core.limits import values
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.units import Duration, Percentage, format_duration
from opscheck.systems.postgres.queries import Place, PostgresQueries, StatementCounters, StatementCounts, StatementText

_GENERIC_PLAN_SINCE = 160_000
_TEXT_OF_EVIDENCE = 120


@dataclass(frozen=True)
class Executed:
    """What one statement took in the interval."""

    counts: StatementCounts
    calls: int
    seconds: float
    share: Percentage
    """Of the time of all that clients executed."""
    text: str

    @property
    def mean(self) -> Duration:
        """How long one execution took."""
        return Duration(self.seconds / self.calls)

    @property
    def subject(self) -> str:
        """The statement as a report names it."""
        nested = "" if self.counts.toplevel else ", executed by a function"
        return f"statement {self.counts.queryid} of {self.counts.role} in {self.counts.database}{nested}"

    @property
    def line(self) -> str:
        """One line of the top ten."""
        numbers = f"{_calls(self.calls)}, mean {format_duration(self.mean)}, {self.share} of the execution time"
        text = self.text or "its text is not known"
        return f"{numbers}: {text if len(text) <= _TEXT_OF_EVIDENCE else text[: _TEXT_OF_EVIDENCE - 2] + ' …'}"


@dataclass(frozen=True)
class Workload:
    """What a server executed in the interval."""

    over: Interval[StatementCounters]
    statements: tuple[Executed, ...]
    """What is to be judged, the most execution time first."""
    seconds: float
    """The time of all that clients executed, utility statements with it, what functions executed not counted twice."""
    incomparable: tuple[StatementCounts, ...]
    """Statements of which nobody knows what they took in the interval: the earlier answer had no room for them."""

    @cached_property
    def evictions(self) -> int | None:
        """How often statements were forgotten in the interval; None where the extension does not count it."""
        now, earlier = self.over.now.evictions, self.over.earlier
        if now is None or earlier is None:
            return now
        return None if earlier.evictions is None else max(0, now - earlier.evictions)


def workload(expectation: PostgresQueries, observe: Observe) -> Workload:
    """What the server executed since the earlier run. Raises CouldNotObserve."""
    over = interval(expectation, expectation.counters, observe)
    texts = {one.place: one for one in observe(expectation.texts).texts}
    took, incomparable = _differences(over)
    _make_sure_of_databases(expectation, observe)
    total = sum(seconds for counts, _, seconds in took if counts.toplevel)
    statements = (
        Executed(counts, calls, seconds, _share(seconds, total), _text(texts, counts.place))
        for counts, calls, seconds in took
        if calls and _is_judged(expectation, counts, texts)
    )
    ordered = tuple(sorted(statements, key=lambda one: -one.seconds))
    unknown = tuple(one for one in incomparable if _is_judged(expectation, one, texts))
    return Workload(over, ordered, total, unknown)


def _differences(
    over: Interval[StatementCounters],
) -> tuple[list[tuple[StatementCounts, int, float]], list[StatementCounts]]:
    """Calls and seconds of each statement in the interval, and the statements of which that is not known."""
    before = {_key(one): one for one in over.earlier.statements} if over.earlier else {}
    cut = over.earlier is not None and over.earlier.left_out_below is not None
    took: list[tuple[StatementCounts, int, float]] = []
    incomparable: list[StatementCounts] = []
    for one in over.now.statements:
        earlier = before.get(_key(one))
        if earlier is None and cut:
            incomparable.append(one)
        elif earlier is None or _began_anew(earlier, one):
            took.append((one, one.calls, one.milliseconds / 1000))
        else:
            took.append((one, one.calls - earlier.calls, max(0.0, one.milliseconds - earlier.milliseconds) / 1000))
    return took, incomparable


def _key(counts: StatementCounts) -> tuple[str, str, int, bool]:
    return counts.role, counts.database, counts.queryid, counts.toplevel


def _began_anew(earlier: StatementCounts, now: StatementCounts) -> bool:
    """It was evicted, or reset, and counted from nothing since."""
    return now.since != earlier.since or now.calls < earlier.calls or now.milliseconds < earlier.milliseconds


def _is_judged(expectation: PostgresQueries, counts: StatementCounts, texts: dict[Place, StatementText]) -> bool:
    text = texts.get(counts.place)
    return expectation.means(counts.database, counts.role) and not (text is not None and text.utility)


def _make_sure_of_databases(expectation: PostgresQueries, observe: Observe) -> None:
    if expectation.databases is None:
        return
    there = observe(expectation.names).names
    if not any(expectation.means_database(database) for database in there):
        text = f"no database is called {' or '.join(expectation.databases)}"
        advice = f"there are {', '.join(there) or 'none'}"
        raise CouldNotObserve(expectation.names, Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=advice))


def facts(done: Workload, one: Executed) -> dict[str, str]:
    """What commands about a statement may name."""
    known = {"queryid": str(one.counts.queryid), "extension_schema": done.over.now.extension_schema}
    known["statement_database"] = one.counts.database
    # psql takes a name with `=` or `://` for a connection string.
    named = not re.search(r"=|://", one.counts.database)
    if done.over.now.server_version >= _GENERIC_PLAN_SINCE and named:
        known["explained_in"] = one.counts.database
    return known


def evidence(done: Workload, one: Executed) -> list[str]:
    """What a finding about a statement shows beside the number."""
    spent = f"{_calls(one.calls)} {done.over.text}, {format_duration(one.seconds)} in all, {one.share} of all"
    return [one.text or "its text is not known", spent]


def per_second(expectation: PostgresQueries, done: Workload) -> float:
    """Seconds of execution in a second. Raises CouldNotObserve where the length of a lifetime is not known."""
    if done.over.seconds is None:
        text = "since when pg_stat_statements counts is not known before PostgreSQL 14"
        advice = "leave out `first_sample: lifetime`, or `load`"
        raise CouldNotObserve(expectation.counters, Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=advice))
    return done.seconds / max(done.over.seconds, 1.0)


def counted_evictions(expectation: PostgresQueries, done: Workload) -> int:
    """How often statements were forgotten. Raises CouldNotObserve where that is not counted."""
    if done.evictions is None:
        text, advice = "evictions are counted by pg_stat_statements 1.9 and later", "leave out `evictions`"
        advice += ", or ALTER EXTENSION pg_stat_statements UPDATE on PostgreSQL 14 or later"
        raise CouldNotObserve(expectation.counters, Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=advice))
    return done.evictions


def make_sure_of_the_rest(expectation: PostgresQueries, done: Workload) -> None:
    """Raise CouldNotObserve when a statement that could not be judged may be over a limit."""
    least = _least_that_violates(expectation)
    below = done.over.now.left_out_below
    if below is not None and below > least:
        left_out = done.over.now.found - len(done.over.now.statements)
        raise _unjudged(expectation, f"{left_out} more statements are counted than were read")
    if unknown := [one for one in done.incomparable if one.milliseconds > least]:
        raise _unjudged(expectation, f"{len(unknown)} statements were left out of the earlier sample")


def _least_that_violates(expectation: PostgresQueries) -> float:
    """A statement that has executed for less than this, in milliseconds, keeps every limit on statements."""
    least = [min(values(expectation.mean)) * expectation.min_calls] if expectation.mean is not None else []
    if expectation.share is not None:
        least.append(float(expectation.share_above))
    return min(least, default=float("inf")) * 1000


def _unjudged(expectation: PostgresQueries, text: str) -> CouldNotObserve:
    advice = "raise `min_calls` or `share_above`, or lower pg_stat_statements.max"
    problem = Problem(kind=ProblemKind.UNSUPPORTED, text=f"{text}, and may be over a limit", advice=advice)
    return CouldNotObserve(expectation.counters, problem)


def top(expectation: PostgresQueries, done: Workload) -> Iterable[Executed]:
    """The statements that are reported whatever they took."""
    return done.statements[: expectation.top]


def _share(seconds: float, total: float) -> Percentage:
    return Percentage(min(100.0, 100.0 * seconds / total) if total else 0.0)


def _text(texts: dict[Place, StatementText], place: Place) -> str:
    return texts[place].text if place in texts else ""


def _calls(calls: int) -> str:
    return f"{calls} call{'' if calls == 1 else 's'}"
