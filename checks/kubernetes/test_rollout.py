"""The rollouts of a cluster."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

from opscheck import Findings, Observe
from opscheck.core.record import Finding
from opscheck.core.remedy import Remedy
from opscheck.core.words import counted
from opscheck.systems.kubernetes.containers import containers
from opscheck.systems.kubernetes.objects import condition, reference
from opscheck.systems.kubernetes.pod_status import FaultKind, PodFault, fault_of
from opscheck.systems.kubernetes.pods import NODE_LOST, RESTART, ROLL_BACK, ListPods, Pod
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
    described,
    gaps,
)
from opscheck.systems.kubernetes.selection import count_matches, listed, matching
from opscheck.systems.kubernetes.warnings import Warnings
from opscheck.systems.kubernetes.words import latest, longer_than, message
from opscheck.systems.kubernetes.workloads import Deployment, Progress, progress_of

_NAMED = 5
_OF_NO_POD = {Gap.UNSEEN, Gap.PAUSED}
_NEVER_CAME_UP = {FaultKind.CRASH, FaultKind.CANNOT_START}
_CONDITIONS = {"Available", "Progressing", "ReplicaFailure"}
_ON_A_NODE = {FaultKind.UNREADY, FaultKind.NODE_LOST, FaultKind.STUCK}


def test_rollouts_are_complete(expectation: RolloutComplete, observe: Observe, findings: Findings) -> None:
    """
    Every selected workload is rolled out: all pods are updated and available.

    A stalled rollout leaves the old version running, or none. The next fault or deployment meets an application that is
    already short of pods.
    """
    every = listed(observe, expectation.workload_lists())
    there = [one for one in every if not one.is_terminating and progress_of(one) is not None]
    chosen = sorted(matching(expectation, there), key=lambda one: type(one).__name__)
    count_matches(expectation, there, chosen, findings, kind=expectation.called, remedy=MISSING_WORKLOADS)
    progress = [found for found in map(progress_of, chosen) if found is not None]
    measure_availability(expectation, progress, findings)
    pods = PodIndex(listed(observe, expectation.lists(ListPods)))
    warnings = Warnings(expectation, observe)
    for one in progress:
        rollout = Rollout(one, pods, observe.now, expectation.grace)
        if (late := rollout.overdue(allow_paused=expectation.allow_paused)) is not None:
            findings.report(warnings.attach(finding(expectation, late), one.workload))


def measure_availability(expectation: RolloutComplete, progress: Iterable[Progress], findings: Findings) -> None:
    """Record the workload with the smallest share of available pods, even if all are available."""
    wanting = [found for found in progress if found.wanted]
    worst = min(wanting, key=lambda found: (found.available / found.wanted, found.name), default=None)
    if worst is not None:
        subject, count, limit = expectation.subject(worst.workload), worst.available, worst.wanted
        findings.measure("available pods", count, subject=subject, limit=limit, margin=count - limit)


class PodIndex:
    """The listed pods by owner and by node."""

    def __init__(self, pods: Iterable[Pod]) -> None:
        self._by_owner: dict[tuple[str, str], list[Pod]] = defaultdict(list)
        self._on_node: dict[str, list[Pod]] = defaultdict(list)
        for pod in sorted(pods, key=lambda pod: (pod.namespace, pod.name)):
            self._by_owner[pod.namespace, pod.top_owner].append(pod)
            if not pod.has_ended:
                self._on_node[pod.node].append(pod)

    def of(self, progress: Progress) -> tuple[Pod, ...]:
        """The pods of the workload: by owner, as the selectors of two workloads may overlap."""
        return tuple(self._by_owner[progress.workload.namespace, progress.name])

    def nothing_is_ready_on(self, node: str) -> bool:
        """True when several pods were listed on a node and no pod is ready. A single one proves nothing."""
        there = self._on_node[node]
        return len(there) > 1 and not any(pod.is_ready for pod in there)


@dataclass(frozen=True)
class Rollout:
    """A workload and its pods at one moment."""

    progress: Progress
    index: PodIndex
    now: datetime
    grace: float
    gap: Gap | None = None
    """The reason why its rollout is not complete for longer than its grace."""
    since: datetime | None = None

    @cached_property
    def pods(self) -> tuple[Pod, ...]:
        return self.index.of(self.progress)

    @cached_property
    def unready(self) -> tuple[Pod, ...]:
        """Pods that should be ready and are not, and terminating ones that block their replacement."""
        return tuple(pod for pod in self.pods if self._is_short(pod))

    def _is_short(self, pod: Pod) -> bool:
        if pod.is_terminating:
            # A deployment replaces the pod at once; a stateful set and a daemon set wait.
            is_replaced = isinstance(self.progress.workload, Deployment)
            return not is_replaced and pod.deletion_due is not None and pod.deletion_due < self.now
        return not pod.has_ended and not pod.is_ready

    @cached_property
    def faults(self) -> tuple[PodFault, ...]:
        """
        The faults of its pods, the most frequent first; none if the pods are not the cause.

        They have no grace, as the workload is already short. If all pods are ready, ended ones may show the cause.
        """
        if self.gap in _OF_NO_POD:
            return ()
        found = [fault for pod in self.unready or self.pods if (fault := fault_of(pod, self.now, 0)) is not None]
        if self.progress.in_order:  # each waits for the first pod that is not ready
            return tuple(sorted(found, key=lambda fault: _ordinal(fault.pod)))
        alike = [_alike(fault) for fault in found]
        return tuple(sorted(found, key=lambda fault: -alike.count(_alike(fault))))

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        """
        The nodes that explain every missing pod; none if a pod has another cause.

        A daemon set counts its pod on a lost node as misplaced: it tolerates an unreachable node, but not the taint
        that keeps new pods away from it.
        """
        kinds = {fault.pod.name: fault.kind for fault in self.faults}
        lacking = self.progress.misplaced if self.gap is Gap.MISPLACED else self.progress.missing
        explained = [pod for pod in self.unready if kinds.get(pod.name) in _ON_A_NODE and self._is_lost(pod, kinds)]
        all_explained = len(explained) == len(self.unready) >= lacking
        return tuple(sorted({pod.node for pod in explained})) if all_explained else ()

    def _is_lost(self, pod: Pod, kinds: dict[str, FaultKind]) -> bool:
        reported = kinds[pod.name] is FaultKind.NODE_LOST or _was_marked_unready(pod)
        return bool(pod.node) and (reported or self.index.nothing_is_ready_on(pod.node))

    def overdue(self, *, allow_paused: bool) -> "Rollout | None":
        """The rollout with its overdue gap; None while it is complete, or in progress."""
        found = (self._held_up(gap) for gap in gaps(self.progress, allow_paused=allow_paused))
        return next((late for late in found if late is not None), None)

    def _held_up(self, gap: Gap) -> "Rollout | None":
        written = self.progress.workload.metadata
        spec_written = (written and written.spec_written) or None
        match gap:
            case Gap.FAILED:
                # Its own deadline is its grace.
                return replace(self, gap=gap, since=self.progress.since("Progressing", "False"))
            case Gap.UNSEEN:
                never = not self.progress.observed_generation
                return self._late(gap, self.progress.workload.created if never else spec_written)
            case Gap.PAUSED:
                return self._late(gap, self.progress.since("Progressing", "Unknown") or spec_written)
            case Gap.MISPLACED:
                return self._late(gap, (written and written.status_written) or None)
        return None if self._settles() else self._short(gap)

    def _short(self, gap: Gap) -> "Rollout | None":
        if held_up := [*self._reported(), *self._overdue_pods()]:
            return replace(self, gap=gap, since=min(held_up))
        return self._late(gap, self._last_sign())

    def _late(self, gap: Gap, since: datetime | None) -> "Rollout | None":
        return replace(self, gap=gap, since=since) if longer_than(self.grace, since, self.now) else None

    def _settles(self) -> bool:
        """True while enough pods are ready, but some for less than `minReadySeconds`, so they do not count yet."""
        span = timedelta(seconds=self.progress.min_ready_seconds)
        ready = sum(pod.is_ready for pod in self.pods)
        return ready >= self.progress.wanted and any(self.now - since < span for since in self._became_ready())

    def _reported(self) -> Iterator[datetime]:
        """The times of its own conditions that have reported an obstacle for longer than the grace."""
        for kind, status in (("Available", "False"), ("ReplicaFailure", "True"), ("Progressing", "False")):
            since = self.progress.since(kind, status)
            if since is not None and longer_than(self.grace, since, self.now):
                yield since

    def _overdue_pods(self) -> Iterator[datetime]:
        """The times since which pods are not ready for longer than the grace."""
        for pod in self.unready:
            since = pod.deletion_due or pod.not_ready_since
            if since is not None and longer_than(self.grace, since, self.now):
                yield since
            # A pod in a crash loop may be ready in between, so it is never unready for long.
            elif (fault := fault_of(pod, self.now, self.grace)) is not None:
                yield fault.since or since or self.now

    def _became_ready(self) -> Iterator[datetime]:
        for pod in self.pods:
            ready = pod.condition("Ready")
            if pod.is_ready and ready and ready.last_transition_time:
                yield ready.last_transition_time

    def _last_sign(self) -> datetime | None:
        """The time of its last change: while changes go on, it is in progress."""
        written = self.progress.workload.metadata
        times = [self.progress.workload.created, *self._became_ready(), *(pod.not_ready_since for pod in self.unready)]
        times += [written.spec_written, written.status_written] if written else []
        for found in self.progress.conditions:
            times += [found.last_transition_time, found.last_update_time] if found.type in _CONDITIONS else []
        for pod in self.pods:
            times += [pod.created, pod.deletion_due]
        return latest(*times)

    @property
    def refused(self) -> str:
        """The reason why its pods are refused, from its controller."""
        failure = condition(self.progress.conditions, "ReplicaFailure", "True")
        return message(failure.message or failure.reason) if failure else ""

    @property
    def blocking(self) -> str:
        """The pod that blocks the others of a stateful set."""
        waits = self.gap is Gap.OUTDATED or len(self.pods) < self.progress.wanted
        return self.faults[0].pod.name if self.progress.in_order and self.faults and waits else ""


def _was_marked_unready(pod: Pod) -> bool:
    """
    True when the node controller, not the kubelet, marked the pod as unready.

    It does so when a node stops reporting, and keeps the last report of the containers.
    """
    ready = pod.condition("Ready")
    running = [container for container in containers(pod) if not container.init]
    if ready is None or ready.status == "True" or ready.reason == "ReadinessGatesNotReady":
        return False
    return bool(running) and all(container.status.ready for container in running)


def _alike(fault: PodFault) -> tuple[object, ...]:
    return fault.kind, fault.container and fault.container.name


def _ordinal(pod: Pod) -> tuple[int, str]:
    number = pod.name.rpartition("-")[2]
    return (int(number) if number.isdecimal() else 0), pod.name


def finding(expectation: RolloutComplete, rollout: Rollout) -> Finding:
    """The finding: the gap of the workload, the pod that shows the cause, and the workload's name with its kind."""
    progress = rollout.progress
    observed, expected = described(progress, rollout.gap or Gap.UNAVAILABLE)
    refused = [f"pods refused: {rollout.refused}"] if rollout.refused else []
    of_pod = rollout.faults[0].facts if rollout.faults else {}
    node = {"node": rollout.nodes[0]} if rollout.nodes else {}
    return expectation.finding_on(
        progress.workload,
        observed="; ".join((observed, *refused, *_worst_pod(rollout.faults), progress.name)),
        expected=expected,
        severity=expectation.serving_severity if progress.serves else expectation.ungraded_severity,
        since=rollout.since,
        evidence=evidence(rollout),
        remedies=tuple(dict.fromkeys(remedies(rollout))),
        facts={**of_pod, **node, "owner": progress.name, "fitting": len(rollout.pods)},
        because=(reference(expectation.target, "node", name) for name in rollout.nodes),
    )


def _worst_pod(faults: tuple[PodFault, ...]) -> Iterator[str]:
    for first in faults[:1]:
        alike = sum(_alike(fault) == _alike(first) for fault in faults) - 1
        others = f" (and {alike} more)" if alike else ""
        yield f"pod {first.pod.name}{others}: {first.observed}"


def evidence(rollout: Rollout) -> Iterator[str]:
    """Messages of its conditions and pods that are not in the finding."""
    faults, progressing = rollout.faults, condition(rollout.progress.conditions, "Progressing", "False")
    if progressing and (said := message(progressing.message)):
        yield said
    if rollout.blocking:
        yield f"OrderedReady: the other pods wait for {rollout.blocking}"
    if faults:
        yield from faults[0].evidence
        yield from (f"pod {fault.pod.name}: {fault.observed}" for fault in faults[1:_NAMED])
        if len(faults) > _NAMED:
            yield f"and {len(faults) - _NAMED} more pods"
    elif rollout.gap is Gap.UNAVAILABLE:
        yield f"{counted(len(rollout.pods), 'pod')} found, {sum(pod.is_ready for pod in rollout.pods)} ready"


def remedies(rollout: Rollout) -> Iterator[Remedy]:
    """The remedies for the workload's state, and for the pod that shows the cause."""
    yield REPORT if rollout.progress.on_delete else STATUS
    yield from (fault.remedy for fault in rollout.faults[:1])
    match rollout.gap:
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
    gap, kind = rollout.gap, rollout.faults[0].kind if rollout.faults else None
    if rollout.refused:
        over_quota = "exceeded quota" in rollout.refused
        yield QUOTA if over_quota else REFUSED
        if over_quota and rollout.pods:
            yield FEWER_PODS
    elif rollout.nodes:
        yield NODE_LOST
    elif gap in {Gap.FAILED, Gap.OUTDATED, Gap.LEFT_OVER} or kind in _NEVER_CAME_UP:
        yield ROLL_BACK
    elif kind is FaultKind.UNREADY:
        yield RESTART
    if gap is Gap.OUTDATED and kind in {*_NEVER_CAME_UP, FaultKind.UNREADY} and rollout.blocking:
        yield DELETE_BLOCKING  # a broken pod is not replaced by the fixed one: kubernetes/kubernetes#67250
