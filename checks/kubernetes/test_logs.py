"""The logs of a cluster's pods."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.units import format_bytes, format_duration
from opscheck.core.words import MOST, counted, some
from opscheck.systems.kubernetes.logs import ContainerLog, LogLines, LogMatches
from opscheck.systems.kubernetes.owners import ROLLED_OUT
from opscheck.systems.kubernetes.remedies import place_facts
from opscheck.systems.kubernetes.words import cannot_tell


def test_few_lines_match(expectation: LogLines, observe: Observe, findings: Findings) -> None:
    """
    Few lines of the selected pods' logs match the pattern.

    An application tells its own troubles first, long before somebody complains; a message that comes by the
    hundred is one cause, and the most frequent one names it.
    """
    queries = expectation.logs()
    logs = together(observe(query) for query in queries)
    if logs.pods_selected:
        findings.grade(
            "matching lines",
            matching_lines(logs),
            expectation.lines,
            subject=expectation.selected,
            detail=f"in {format_duration(expectation.window)}, {counted(logs.pods_selected, 'pod')}",
            since=first_match(logs),
            evidence=evidence(expectation, logs),
            facts=facts(expectation, logs),
        )
        findings.measure("lines read", sum(log.lines for log in read_logs(logs)))
    if cut := cut_logs(logs):
        findings.measure("logs read in part", len(cut))
    if (problem := unjudged(expectation, logs)) is not None:
        raise CouldNotObserve(queries[0], problem)


def together(logs: Iterable[LogMatches]) -> LogMatches:
    """What several namespaces logged, as one."""
    every = tuple(logs)
    signatures = [signature for one in every for signature in one.signatures]
    return LogMatches(
        pods_there=sum(one.pods_there for one in every),
        pods_selected=sum(one.pods_selected for one in every),
        containers=tuple(log for one in every for log in one.containers),
        signatures=tuple(sorted(signatures, key=lambda signature: -signature.lines)),
    )


def matching_lines(logs: LogMatches) -> int:
    """How many lines match, at least."""
    return sum(log.matches for log in logs.containers)


def first_match(logs: LogMatches) -> datetime | None:
    """When the oldest line that matches was written."""
    return min((log.first_match for log in logs.containers if log.first_match), default=None)


def read_logs(logs: LogMatches) -> list[ContainerLog]:
    """Those of the logs that could be read, in whole or in part."""
    return [log for log in logs.containers if not (log.unread or log.not_started)]


def cut_logs(logs: LogMatches) -> list[ContainerLog]:
    """Those that are longer than was read."""
    return [log for log in logs.containers if log.cut]


def unread_logs(logs: LogMatches) -> list[ContainerLog]:
    """Those of running containers that could not be read."""
    return [log for log in logs.containers if log.unread]


def evidence(expectation: LogLines, logs: LogMatches) -> Iterator[str]:
    """The most frequent messages, then who wrote them, then what is not in these numbers."""
    for signature in logs.signatures[:MOST]:
        times = f"{signature.lines} times" if signature.lines > 1 else "once"
        yield f"{times} in {counted(signature.pods, 'pod')}: {signature.sample}"
    writers = sorted((log for log in logs.containers if log.matches), key=_loudest_first)
    if writers:
        yield f"by {some(f'{_named(log)} ({log.matches})' for log in writers)}"
    if (problem := unjudged(expectation, logs)) is not None:
        yield f"at least: {problem.text}"


def _loudest_first(log: ContainerLog) -> tuple[int, str, str, bool]:
    return -log.matches, log.pod, log.container, log.previous


def _named(log: ContainerLog) -> str:
    return f"{log.pod}/{log.container}" + (" before its restart" if log.previous else "")


def facts(expectation: LogLines, logs: LogMatches) -> dict[str, str]:
    """What commands may name: the loudest pod, and the selection as kubectl reads it."""
    seconds = round(expectation.window)
    known = {"since": f"{seconds}s" if seconds % 3600 else f"{seconds // 3600}h"}
    known["caseless_pattern" if expectation.ignore_case else "exact_pattern"] = expectation.pattern
    if expectation.selector and expectation.only_namespace:
        known["logged_selector"] = expectation.selector
    loudest = min((log for log in logs.containers if log.matches), key=_loudest_first, default=None)
    if loudest is None:
        return known | place_facts(expectation.target, expectation.only_namespace)
    known |= {"pod": loudest.pod, "logged_by": loudest.pod, "container": loudest.container}
    known |= {"owner": loudest.owner} if loudest.owner else {}
    known |= {"rollout": loudest.owner} if loudest.owner.startswith(ROLLED_OUT) else {}
    return known | place_facts(expectation.target, loudest.namespace)


def unjudged(expectation: LogLines, logs: LogMatches) -> Problem | None:
    """Why few matching lines prove nothing: what was not read might hold more of them."""
    return _nothing_to_read(expectation, logs) or _not_all_read(expectation, logs)


def _nothing_to_read(expectation: LogLines, logs: LogMatches) -> Problem | None:
    if not logs.pods_selected:
        text = f"no pod matches {expectation.selected}, of {logs.pods_there} there"
        return cannot_tell(text, "correct the selector or the namespace, or see why none runs")
    if not logs.containers:
        named = f" called {expectation.container}" if expectation.container else ""
        return cannot_tell(f"the selected pods have no container{named}", "correct `container`")
    if all(log.not_started for log in logs.containers):
        waits = logs.containers[0]
        text = f"no selected container has started: {_named(waits)} ({waits.not_started})"
        return cannot_tell(text, "see why the pods do not start")
    return None


def _not_all_read(expectation: LogLines, logs: LogMatches) -> Problem | None:
    if unread := unread_logs(logs):
        text = (
            f"{len(unread)} of {len(logs.containers)} logs could not be read: {_named(unread[0])}: {unread[0].unread}"
        )
        advice = "see the node's kubelet, or take a shorter `window`"
        return Problem(kind=ProblemKind.UNREADABLE, text=text, advice=advice)
    if cut := cut_logs(logs):
        return _cut_short(expectation, cut)
    if expectation.expect_lines and not any(log.lines for log in logs.containers):
        text = f"no line at all was logged in {format_duration(expectation.window)}"
        return cannot_tell(text, "does the application still write to its standard output?")
    return None


def _cut_short(expectation: LogLines, cut: list[ContainerLog]) -> Problem:
    text = f"only {format_bytes(cut[0].size)} of the log of {_named(cut[0])} were read{_others(len(cut) - 1)}"
    advice = f"raise `max_bytes` (now {expectation.max_bytes}) or shorten `window` (now {expectation.window})"
    return Problem(kind=ProblemKind.UNREADABLE, text=text, advice=advice)


def _others(count: int) -> str:
    return f", and parts of {count} more" if count else ""
