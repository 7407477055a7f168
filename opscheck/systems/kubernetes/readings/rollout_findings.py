"""Findings about rollouts: what a person is told of a workload, and what commands may name of it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from opscheck.core.units import Severity
from opscheck.systems.kubernetes.objects import condition
from opscheck.systems.kubernetes.owners import reference
from opscheck.systems.kubernetes.pod_status import Kind, Trouble, is_ready, pod_facts
from opscheck.systems.kubernetes.pods import Pod
from opscheck.systems.kubernetes.readings.rollout_pods import Overdue, Owned, Standing
from opscheck.systems.kubernetes.remedies import place_facts
from opscheck.systems.kubernetes.rollout import Gap, Progress, RolloutComplete, progress_of, told, wanted
from opscheck.systems.kubernetes.selection import matching
from opscheck.systems.kubernetes.words import message
from opscheck.systems.kubernetes.workloads import Workload

_NAMED = 5
_OF_NO_POD = {Gap.UNSEEN, Gap.PAUSED}
_NEVER_CAME_UP = {Kind.CRASH, Kind.CANNOT_START}


@dataclass(frozen=True)
class Rollout:
    """A workload that is not rolled out, and should be by now."""

    standing: Standing
    overdue: Overdue
    owned: Owned

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return self.standing.progress

    @property
    def faults(self) -> tuple[Trouble, ...]:
        """What is wrong with its pods, what most of them suffer from first; none where that is not why."""
        if self.overdue.gap in _OF_NO_POD:
            return ()
        alike = [_alike(trouble) for trouble in self.standing.troubles]
        # Stateful sets wait for the first pod that is not ready, whatever the others suffer from.
        if self.progress.in_order:
            return tuple(sorted(self.standing.troubles, key=lambda trouble: _ordinal(trouble.pod)))
        return tuple(sorted(self.standing.troubles, key=lambda trouble: -alike.count(_alike(trouble))))

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes that explain every pod that is missing."""
        if self.overdue.gap in _OF_NO_POD:
            return ()
        return tuple(sorted(self.standing.nodes_to_blame(self.overdue.gap, self.owned)))


def judgeable(workloads: Iterable[Workload]) -> tuple[Workload, ...]:
    """Without those that somebody has deleted, and those that are half written."""
    return tuple(one for one in workloads if not one.is_terminating and progress_of(one) is not None)


def unfinished(
    expectation: RolloutComplete, workloads: Iterable[Workload], pods: Iterable[Pod], now: datetime
) -> Iterator[Rollout]:
    """Those of `workloads` that are not rolled out, and not on their way either."""
    owned, grace = Owned(pods), timedelta(seconds=expectation.grace)
    for progress in filter(None, map(progress_of, workloads)):
        standing = Standing(progress, owned.of(progress), now, grace)
        overdue = standing.overdue(allow_paused=expectation.allow_paused)
        if overdue is not None:
            yield Rollout(standing, overdue, owned)


def selected(expectation: RolloutComplete, workloads: Iterable[Workload]) -> tuple[Workload, ...]:
    """Those that the expectation means, a kind after the other."""
    return tuple(sorted(matching(expectation, workloads), key=lambda one: type(one).__name__))


def least_available(workloads: Iterable[Workload]) -> Progress | None:
    """The one with the smallest share of the pods it should have; None where none should have any."""
    wanting = [found for found in map(progress_of, workloads) if found is not None and found.wanted]
    return min(wanting, key=lambda found: (found.available / found.wanted, found.name), default=None)


def severity(expectation: RolloutComplete, rollout: Rollout) -> Severity:
    """How bad it is: milder while enough pods serve."""
    return expectation.serving_severity if rollout.progress.serves else expectation.ungraded_severity


def observed(rollout: Rollout) -> str:
    """What is there, which pod says why, and what a person would change: kinds may share a name."""
    progress = rollout.progress
    why = (*_refusal(rollout), *_worst_pod(rollout.faults))
    return "; ".join((told(progress, rollout.overdue.gap), *why, progress.name))


def expected(rollout: Rollout) -> str:
    """What should be there."""
    return wanted(rollout.progress, rollout.overdue.gap)


def _refusal(rollout: Rollout) -> Iterator[str]:
    if said := _refused(rollout):
        yield f"pods are refused: {said}"


def _refused(rollout: Rollout) -> str:
    failure = condition(rollout.progress.conditions, "ReplicaFailure")
    return message(failure.message or failure.reason) if failure and failure.status == "True" else ""


def _worst_pod(faults: tuple[Trouble, ...]) -> Iterator[str]:
    if not faults:
        return
    first = faults[0]
    alike = sum(_alike(trouble) == _alike(first) for trouble in faults) - 1
    others = f" (and {alike} more like it)" if alike else ""
    yield f"pod {first.pod.name}{others}: {first.observed}"


def _alike(trouble: Trouble) -> tuple[object, ...]:
    return trouble.kind, trouble.container and trouble.container.name


def _ordinal(pod: Pod) -> tuple[int, str]:
    number = pod.name.rpartition("-")[2]
    return (int(number) if number.isdecimal() else 0), pod.name


def evidence(rollout: Rollout) -> Iterator[str]:
    """What its conditions and its pods say, beside what is told already."""
    progress, faults = rollout.progress, rollout.faults
    progressing = condition(progress.conditions, "Progressing")
    if progressing and progressing.status == "False" and (said := message(progressing.message)):
        yield said
    if _blocking(rollout):
        yield f"OrderedReady: the other pods wait for {_blocking(rollout)}"
    if faults:
        yield from faults[0].evidence
        yield from (f"pod {trouble.pod.name}: {trouble.observed}" for trouble in faults[1:_NAMED])
        if len(faults) > _NAMED:
            yield f"and {len(faults) - _NAMED} more pods"
    elif rollout.overdue.gap is Gap.UNAVAILABLE:
        ready = sum(is_ready(pod) for pod in rollout.standing.pods)
        yield f"of its pods {len(rollout.standing.pods)} are there, {ready} of them ready"


def _blocking(rollout: Rollout) -> str:
    """The pod that the others of a stateful set wait for."""
    progress, faults = rollout.progress, rollout.faults
    waits = rollout.overdue.gap is Gap.OUTDATED or len(rollout.standing.pods) < progress.wanted
    return faults[0].pod.name if progress.in_order and faults and waits else ""


def about(expectation: RolloutComplete, progress: Progress) -> str:
    """The workload, as other findings name it."""
    return reference(expectation.target, progress.kind, progress.workload.name, progress.workload.namespace)


def because(expectation: RolloutComplete, rollout: Rollout) -> tuple[str, ...]:
    """The nodes that explain every pod that is missing, as other findings name them."""
    return tuple(reference(expectation.target, "node", name) for name in rollout.nodes)


def facts(expectation: RolloutComplete, rollout: Rollout) -> dict[str, str]:
    """What commands may name of this finding; by what is missing, the wrong ones leave themselves out."""
    target, progress = expectation.target, rollout.progress
    known = place_facts(target, progress.workload.namespace)
    if rollout.faults:
        known |= pod_facts(target, rollout.faults[0].pod) | dict(_of_pod(rollout.faults[0]))
    return known | dict(_of_workload(rollout))


def _of_pod(fault: Trouble) -> Iterator[tuple[str, str]]:
    if fault.container:
        yield "container", fault.container.name
    match fault.kind:
        case Kind.CRASH:
            yield "crashed", fault.pod.name
        case Kind.UNREADY:
            yield "unready", fault.pod.name
        case Kind.UNSCHEDULED:
            yield "unscheduled", fault.pod.name
        case Kind.STUCK:
            yield "stuck", fault.pod.name
        case Kind.NODE_LOST if fault.node:
            yield "lost_node", fault.node


def _of_workload(rollout: Rollout) -> Iterator[tuple[str, str]]:
    progress, gap = rollout.progress, rollout.overdue.gap
    yield "workload", progress.name
    if not progress.on_delete:
        yield "rolling", progress.name
    match gap:
        case Gap.UNSEEN:
            yield "unseen", progress.name
        case Gap.PAUSED:
            yield "paused", progress.name
        case Gap.MISPLACED:
            yield from (("misplaced", progress.name), *(("lost_node", name) for name in rollout.nodes[:1]))
        case _:
            yield from _of_shortage(rollout)


def _of_shortage(rollout: Rollout) -> Iterator[tuple[str, str]]:
    progress, gap, faults = rollout.progress, rollout.overdue.gap, rollout.faults
    kind = faults[0].kind if faults else None
    if refused := _refused(rollout):
        yield from _of_refusal(rollout, refused)
    elif rollout.nodes:
        yield "lost_node", rollout.nodes[0]
    elif gap in {Gap.FAILED, Gap.OUTDATED, Gap.LEFT_OVER} or kind in _NEVER_CAME_UP:
        yield "failed_rollout", progress.name
    elif kind is Kind.UNREADY:
        yield "unready_rollout", progress.name
    if gap is Gap.OUTDATED and kind in {Kind.CRASH, Kind.CANNOT_START, Kind.UNREADY} and (pod := _blocking(rollout)):
        # What is broken is not replaced by what mends it: kubernetes/kubernetes#67250.
        yield "blocking", pod


def _of_refusal(rollout: Rollout, said: str) -> Iterator[tuple[str, str]]:
    if "exceeded quota" in said:
        yield "over_quota", rollout.progress.name
        if fitting := len(rollout.standing.pods):
            yield "fitting", str(fitting)
    else:
        yield "refused", rollout.progress.name
