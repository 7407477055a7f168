"""The rollouts of a cluster."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from opscheck import Findings, Observe
from opscheck.core.record import Finding
from opscheck.core.remedy import Fact, Remedy
from opscheck.systems.kubernetes.containers import containers
from opscheck.systems.kubernetes.objects import Condition, condition
from opscheck.systems.kubernetes.owners import reference, top_owner
from opscheck.systems.kubernetes.pod_status import (
    FaultKind,
    PodFault,
    fault_of,
    has_ended,
    is_ready,
    not_ready_since,
    pod_condition,
)
from opscheck.systems.kubernetes.pods import ListPods, Pod
from opscheck.systems.kubernetes.remedies import NODE_LOST, RESTART, ROLL_BACK
from opscheck.systems.kubernetes.rollout import (
    DELETE_BLOCKING,
    FEWER_PODS,
    MISPLACED,
    MISSING_WORKLOADS,
    QUOTA,
    REFUSED,
    REPORT,
    RESUME,
    STATUS,
    UNSEEN,
    Gap,
    RolloutComplete,
    gaps,
    told,
    wanted,
)
from opscheck.systems.kubernetes.selection import count_matches, listed, matching
from opscheck.systems.kubernetes.warnings import Warnings
from opscheck.systems.kubernetes.words import message
from opscheck.systems.kubernetes.workloads import Deployment, Progress, Workload, progress_of

_NAMED = 5
_OF_NO_POD = {Gap.UNSEEN, Gap.PAUSED}
_NEVER_CAME_UP = {FaultKind.CRASH, FaultKind.CANNOT_START}
_CONDITIONS = {"Available", "Progressing", "ReplicaFailure"}
_ON_A_NODE = {FaultKind.UNREADY, FaultKind.NODE_LOST, FaultKind.STUCK}


def test_rollouts_are_complete(expectation: RolloutComplete, observe: Observe, findings: Findings) -> None:
    """
    Deployments, stateful sets and daemon sets are rolled out: all their pods are up to date and available.

    A rollout that hangs leaves the old version running, or none; the next fault, or the next deployment, meets an
    application that is already one pod short.
    """
    there = workloads(expectation, observe)
    chosen = selected(expectation, there)
    count_matches(expectation, there, chosen, findings, kind=expectation.called, remedy=MISSING_WORKLOADS)
    measure_availability(expectation, chosen, findings)
    warnings = Warnings(expectation, observe)
    for rollout in unfinished(expectation, chosen, listed(observe, expectation.lists(ListPods)), observe.now):
        findings.report(warnings.attach(finding(expectation, rollout), rollout.progress.workload))


class Owned:
    """The pods that were listed, by what controls them and by where they are."""

    def __init__(self, pods: Iterable[Pod]) -> None:
        self._by_owner: dict[tuple[str, str], list[Pod]] = defaultdict(list)
        self._on_node: dict[str, list[Pod]] = defaultdict(list)
        for pod in sorted(pods, key=lambda pod: (pod.namespace, pod.name)):
            self._by_owner[pod.namespace, top_owner(pod)].append(pod)
            if not has_ended(pod):
                self._on_node[pod.node].append(pod)

    def of(self, progress: Progress) -> tuple[Pod, ...]:
        """
        The pods that the workload made.

        By their owner and not by the selector alone: those of two workloads may overlap.
        """
        return tuple(self._by_owner[progress.workload.namespace, progress.name])

    def nothing_is_ready_on(self, node: str) -> bool:
        """True when several pods were listed on a node and none of them is ready. A single one proves nothing."""
        there = self._on_node[node]
        return len(there) > 1 and not any(is_ready(pod) for pod in there)


@dataclass(frozen=True)
class Standing:
    """A workload and its pods at one moment."""

    progress: Progress
    pods: tuple[Pod, ...]
    now: datetime
    grace: timedelta

    @cached_property
    def unready(self) -> tuple[Pod, ...]:
        """Those that are not ready and should be, and those whose place is taken until they are gone."""
        return tuple(pod for pod in self.pods if self._is_short(pod))

    def _is_short(self, pod: Pod) -> bool:
        if pod.is_terminating:
            # Another pod of a deployment takes over at once; a stateful set and a daemon set wait.
            return (
                not isinstance(self.progress.workload, Deployment)
                and pod.deletion_due is not None
                and pod.deletion_due < self.now
            )
        return not has_ended(pod) and not is_ready(pod)

    @cached_property
    def faults(self) -> tuple[PodFault, ...]:
        """What is wrong with them, without any grace, for that something is wrong is known; else with the others."""
        found = [fault_of(pod, self.now, 0) for pod in self.unready or self.pods]
        return tuple(fault for fault in found if fault is not None)

    def overdue(self, *, allow_paused: bool) -> "Overdue | None":
        """What the workload has lacked for longer than its grace; None while it is done, or on its way."""
        found = (self._held_up(gap) for gap in gaps(self.progress, allow_paused=allow_paused))
        return next((late for late in found if late is not None), None)

    def _held_up(self, gap: Gap) -> "Overdue | None":
        written = self.progress.workload.metadata
        spec_written = (written and written.spec_written) or None
        match gap:
            case Gap.FAILED:
                return Overdue(gap, self.progress.since("Progressing", "False"))  # its own deadline was its grace
            case Gap.UNSEEN:
                never = not self.progress.observed_generation
                return self._late(gap, self.progress.workload.created if never else spec_written)
            case Gap.PAUSED:
                return self._late(gap, self.progress.since("Progressing", "Unknown") or spec_written)
            case Gap.MISPLACED:
                return self._late(gap, (written and written.status_written) or None)
        return self._short(gap)

    def _short(self, gap: Gap) -> "Overdue | None":
        if self._settles():
            return None
        held_up = [*self._reported(), *self._overdue_pods()]
        return Overdue(gap, min(held_up)) if held_up else self._late(gap, max(self._signs(), default=None))

    def _settles(self) -> bool:
        """True while enough of its pods are ready, but some not yet for `minReadySeconds`: until then none counts."""
        span = timedelta(seconds=self.progress.min_ready_seconds)
        ready = sum(is_ready(pod) for pod in self.pods)
        return ready >= self.progress.wanted and any(self.now - since < span for since in self._became_ready())

    def _reported(self) -> Iterator[datetime]:
        """Since when its own conditions have said for too long that it is held up."""
        for kind, status in (("Available", "False"), ("ReplicaFailure", "True"), ("Progressing", "False")):
            since = self.progress.since(kind, status)
            if since is not None and self.now - since > self.grace:
                yield since

    def _overdue_pods(self) -> Iterator[datetime]:
        """Since when those of its pods are not ready that have not been for too long."""
        for pod in self.unready:
            since = pod.deletion_due or not_ready_since(pod)
            if since is not None and self.now - since > self.grace:
                yield since
            # One that crashes in a loop may be ready in between, and so is never unready for long.
            elif (fault := fault_of(pod, self.now, self.grace.total_seconds())) is not None:
                yield fault.since or since or self.now

    def _became_ready(self) -> Iterator[datetime]:
        for pod in self.pods:
            ready = pod_condition(pod, "Ready")
            if is_ready(pod) and ready and ready.last_transition_time:
                yield ready.last_transition_time

    def _signs(self) -> Iterator[datetime]:
        """When something about it changed: while that goes on, it is on its way."""
        written = self.progress.workload.metadata
        times = [self.progress.workload.created, *self._became_ready(), *map(not_ready_since, self.unready)]
        times += [written.spec_written, written.status_written] if written else []
        times += [time for found in self.progress.conditions if found.type in _CONDITIONS for time in _times(found)]
        for pod in self.pods:
            times += [pod.created, pod.deletion_due]
        yield from (time for time in times if time is not None)

    def _late(self, gap: Gap, since: datetime | None) -> "Overdue | None":
        # What has no time is not given the benefit of one.
        return None if since is not None and self.now - since <= self.grace else Overdue(gap, since)

    def nodes_to_blame(self, gap: Gap, owned: Owned) -> frozenset[str]:
        """
        The nodes that account for every pod that is missing; none where a pod has a reason of its own.

        A daemon set calls its pod on a lost node misplaced: it tolerates that the node is unreachable, but not the
        taint that keeps new pods away from there.
        """
        faults = {fault.pod.name: fault.kind for fault in self.faults}
        lacking = self.progress.misplaced if gap is Gap.MISPLACED else self.progress.missing
        if not self.unready or len(self.unready) < lacking:
            return frozenset()
        if all(faults.get(pod.name) in _ON_A_NODE and _is_lost(pod, faults, owned) for pod in self.unready):
            return frozenset(pod.node for pod in self.unready)
        return frozenset()


@dataclass(frozen=True)
class Overdue:
    """What a workload lacks for longer than its grace, and since when, where anything says so."""

    gap: Gap
    since: datetime | None


def _is_lost(pod: Pod, faults: dict[str, FaultKind], owned: Owned) -> bool:
    if not pod.node:
        return False
    lost = faults.get(pod.name) is FaultKind.NODE_LOST or _was_marked_unready(pod)
    return lost or owned.nothing_is_ready_on(pod.node)


def _was_marked_unready(pod: Pod) -> bool:
    """
    True when the node controller took the pod's readiness, and not the kubelet.

    It does so when a node stops reporting, and leaves the last report of the containers as it was.
    """
    ready = pod_condition(pod, "Ready")
    running = [container for container in containers(pod) if not container.init]
    if ready is None or ready.status == "True" or ready.reason == "ReadinessGatesNotReady":
        return False
    return bool(running) and all(container.status.ready for container in running)


def _times(found: Condition) -> tuple[datetime | None, datetime | None]:
    return found.last_transition_time, found.last_update_time


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
    def faults(self) -> tuple[PodFault, ...]:
        """What is wrong with its pods, what most of them suffer from first; none where that is not why."""
        if self.overdue.gap in _OF_NO_POD:
            return ()
        alike = [_alike(fault) for fault in self.standing.faults]
        # Stateful sets wait for the first pod that is not ready, whatever the others suffer from.
        if self.progress.in_order:
            return tuple(sorted(self.standing.faults, key=lambda fault: _ordinal(fault.pod)))
        return tuple(sorted(self.standing.faults, key=lambda fault: -alike.count(_alike(fault))))

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


def finding(expectation: RolloutComplete, rollout: Rollout) -> Finding:
    """What the workload lacks, which pod says why, and what a person would change: kinds may share a name."""
    progress, gap = rollout.progress, rollout.overdue.gap
    why = (*_refusal(rollout), *_worst_pod(rollout.faults))
    return expectation.finding_on(
        progress.workload,
        observed="; ".join((told(progress, gap), *why, progress.name)),
        expected=wanted(progress, gap),
        severity=expectation.serving_severity if progress.serves else expectation.ungraded_severity,
        since=rollout.overdue.since,
        evidence=evidence(rollout),
        remedies=tuple(dict.fromkeys(remedies(rollout))),
        facts=facts(rollout),
        because=(reference(expectation.target, "node", name) for name in rollout.nodes),
    )


def _refusal(rollout: Rollout) -> Iterator[str]:
    if said := _refused(rollout):
        yield f"pods are refused: {said}"


def _refused(rollout: Rollout) -> str:
    failure = condition(rollout.progress.conditions, "ReplicaFailure")
    return message(failure.message or failure.reason) if failure and failure.status == "True" else ""


def _worst_pod(faults: tuple[PodFault, ...]) -> Iterator[str]:
    if not faults:
        return
    first = faults[0]
    alike = sum(_alike(fault) == _alike(first) for fault in faults) - 1
    others = f" (and {alike} more like it)" if alike else ""
    yield f"pod {first.pod.name}{others}: {first.observed}"


def _alike(fault: PodFault) -> tuple[object, ...]:
    return fault.kind, fault.container and fault.container.name


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
        yield from (f"pod {fault.pod.name}: {fault.observed}" for fault in faults[1:_NAMED])
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


def facts(rollout: Rollout) -> dict[str, Fact]:
    """The values that its commands name."""
    of_pod = rollout.faults[0].facts if rollout.faults else {}
    node = {"node": rollout.nodes[0]} if rollout.nodes else {}
    return {**of_pod, **node, "owner": rollout.progress.name, "fitting": len(rollout.standing.pods)}


def remedies(rollout: Rollout) -> Iterator[Remedy]:
    """What fits the state of the workload, and of the pod that says why."""
    yield REPORT if rollout.progress.on_delete else STATUS
    if rollout.faults:
        yield rollout.faults[0].remedy
    match rollout.overdue.gap:
        case Gap.UNSEEN:
            yield UNSEEN
        case Gap.PAUSED:
            yield RESUME
        case Gap.MISPLACED:
            yield MISPLACED
            yield from (NODE_LOST for _ in rollout.nodes[:1])
        case _:
            yield from _of_shortage(rollout)


def _of_shortage(rollout: Rollout) -> Iterator[Remedy]:
    gap, kind = rollout.overdue.gap, rollout.faults[0].kind if rollout.faults else None
    if refused := _refused(rollout):
        over_quota = "exceeded quota" in refused
        yield QUOTA if over_quota else REFUSED
        if over_quota and rollout.standing.pods:
            yield FEWER_PODS
    elif rollout.nodes:
        yield NODE_LOST
    elif gap in {Gap.FAILED, Gap.OUTDATED, Gap.LEFT_OVER} or kind in _NEVER_CAME_UP:
        yield ROLL_BACK
    elif kind is FaultKind.UNREADY:
        yield RESTART
    if gap is Gap.OUTDATED and kind in {*_NEVER_CAME_UP, FaultKind.UNREADY} and _blocking(rollout):
        yield DELETE_BLOCKING  # what is broken is not replaced by what fixes it: kubernetes/kubernetes#67250


def workloads(expectation: RolloutComplete, observe: Observe) -> tuple[Workload, ...]:
    """Those of the chosen kinds that can be judged."""
    return judgeable(
        (
            *listed(observe, expectation.deployments()),
            *listed(observe, expectation.stateful_sets()),
            *listed(observe, expectation.daemon_sets()),
        )
    )


def measure_availability(expectation: RolloutComplete, chosen: tuple[Workload, ...], findings: Findings) -> None:
    """Record the pods of the workload that is worst off, also when all is well."""
    worst = least_available(chosen)
    if worst is not None:
        findings.measure(
            "available pods",
            worst.available,
            subject=expectation.subject(worst.workload),
            limit=worst.wanted,
            margin=worst.available - worst.wanted,
        )
