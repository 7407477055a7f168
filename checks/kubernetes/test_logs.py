"""The logs of a cluster's pods."""

from collections.abc import Iterable, Iterator

from opscheck import Findings, Observe, Remedy
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.units import format_bytes, format_duration
from opscheck.core.words import MOST, counted, some
from opscheck.systems.kubernetes.logs import (
    ALL_LINES,
    LAST_ROLLOUTS,
    MATCHING_LINES,
    MATCHING_LINES_ANY_CASE,
    ContainerLog,
    LogLines,
    LogMatches,
)
from opscheck.systems.kubernetes.objects import ROLLED_OUT
from opscheck.systems.kubernetes.words import cannot_tell


def test_few_lines_match(expectation: LogLines, observe: Observe, findings: Findings) -> None:
    """
    The logs of the selected pods contain few lines that match the pattern.

    An application logs its problems long before a user complains. Hundreds of the same message have one cause, and the
    most frequent signature names it.
    """
    queries = expectation.queries()
    logs = merged(observe(query) for query in queries)
    if logs.pods_selected:
        remedies, facts = advice(expectation, logs)
        findings.grade(
            "matching lines",
            sum(log.matches for log in logs.containers),
            expectation.lines,
            subject=expectation.selected,
            detail=f"in {format_duration(expectation.window)}, {counted(logs.pods_selected, 'pod')}",
            since=min((log.first_match for log in logs.containers if log.first_match), default=None),
            evidence=evidence(expectation, logs),
            remedies=remedies,
            facts=facts,
        )
        read = (log.lines for log in logs.containers if not (log.unread or log.not_started))
        findings.measure("lines read", sum(read))
    if cut := sum(log.cut for log in logs.containers):
        findings.measure("logs read in part", cut)
    if (problem := unjudged(expectation, logs)) is not None:
        raise CouldNotObserve(queries[0], problem)


def merged(logs: Iterable[LogMatches]) -> LogMatches:
    every = tuple(logs)
    signatures = [signature for one in every for signature in one.signatures]
    return LogMatches(
        pods_there=sum(one.pods_there for one in every),
        pods_selected=sum(one.pods_selected for one in every),
        containers=tuple(log for one in every for log in one.containers),
        signatures=tuple(sorted(signatures, key=lambda signature: -signature.lines)),
    )


def evidence(expectation: LogLines, logs: LogMatches) -> Iterator[str]:
    """The most frequent messages, the containers that wrote them, and the gaps in these numbers."""
    for signature in logs.signatures[:MOST]:
        times = f"{signature.lines} times" if signature.lines > 1 else "once"
        yield f"{times} in {counted(signature.pods, 'pod')}: {signature.sample}"
    if writers := _loudest_first(logs):
        yield f"logged by {some(f'{_named(log)} ({log.matches})' for log in writers)}"
    if (problem := unjudged(expectation, logs)) is not None:
        yield f"the number is a minimum: {problem.text}"


def _loudest_first(logs: LogMatches) -> list[ContainerLog]:
    writers = (log for log in logs.containers if log.matches)
    return sorted(writers, key=lambda log: (-log.matches, log.pod, log.container, log.previous))


def _named(log: ContainerLog) -> str:
    return f"{log.pod}/{log.container}" + (" before its restart" if log.previous else "")


def advice(expectation: LogLines, logs: LogMatches) -> tuple[list[Remedy], dict[str, str]]:
    """The remedies for the pod with the most matching lines, and the facts for their commands."""
    if not (writers := _loudest_first(logs)):
        return [], {}
    loudest = writers[0]
    seconds = round(expectation.window)
    facts = {"namespace": loudest.namespace, "pod": loudest.pod, "container": loudest.container}
    facts["since"] = f"{seconds}s" if seconds % 3600 else f"{seconds // 3600}h"
    remedies = [MATCHING_LINES_ANY_CASE if expectation.ignore_case else MATCHING_LINES]
    if expectation.selector and expectation.only_namespace:
        remedies.append(ALL_LINES)
    if loudest.owner:
        facts["owner"] = loudest.owner
    if loudest.owner.startswith(ROLLED_OUT):
        remedies.append(LAST_ROLLOUTS)
    return remedies, facts


def unjudged(expectation: LogLines, logs: LogMatches) -> Problem | None:
    """The problem when lines are missing or unread, and few matches prove nothing; else None."""
    return _nothing_to_read(expectation, logs) or _not_all_read(expectation, logs)


def _nothing_to_read(expectation: LogLines, logs: LogMatches) -> Problem | None:
    if not logs.pods_selected:
        text = f"no pod matches {expectation.selected} ({counted(logs.pods_there, 'pod')} found)"
        return cannot_tell(text, "correct the selector or the namespace, or find out why no pod runs")
    if not logs.containers:
        named = f" named {expectation.container}" if expectation.container else ""
        return cannot_tell(f"the selected pods have no container{named}", "correct `container`")
    if all(log.not_started for log in logs.containers):
        waits = logs.containers[0]
        text = f"no selected container has started: {_named(waits)} ({waits.not_started})"
        return cannot_tell(text, "find out why the pods do not start")
    return None


def _not_all_read(expectation: LogLines, logs: LogMatches) -> Problem | None:
    if unread := [log for log in logs.containers if log.unread]:
        which = f"{_named(unread[0])}: {unread[0].unread}"
        text = f"{len(unread)} of {counted(len(logs.containers), 'log')} could not be read: {which}"
        advice = "check the node's kubelet, or set a shorter `window`"
        return Problem(kind=ProblemKind.UNREADABLE, text=text, advice=advice)
    if cut := [log for log in logs.containers if log.cut]:
        others = f", and parts of {len(cut) - 1} more" if len(cut) > 1 else ""
        text = f"only {format_bytes(cut[0].size)} of the log of {_named(cut[0])} were read{others}"
        advice = f"raise `max_bytes` (now {expectation.max_bytes}) or shorten `window` (now {expectation.window})"
        return Problem(kind=ProblemKind.UNREADABLE, text=text, advice=advice)
    if expectation.expect_lines and not any(log.lines for log in logs.containers):
        text = f"no line was logged in {format_duration(expectation.window)}"
        return cannot_tell(text, "check that the application still writes to its standard output")
    return None
