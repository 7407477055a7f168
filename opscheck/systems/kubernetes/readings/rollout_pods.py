"""What holds a workload up: which of its pods are at fault and why, since when, and whether a node explains it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from opscheck.systems.kubernetes.containers import containers
from opscheck.systems.kubernetes.objects import Condition
from opscheck.systems.kubernetes.owners import top_owner
from opscheck.systems.kubernetes.pod_status import (
    Kind,
    Trouble,
    condition,
    has_ended,
    is_ready,
    not_ready_since,
    trouble_of,
)
from opscheck.systems.kubernetes.pods import Pod
from opscheck.systems.kubernetes.rollout import Gap, Progress, gaps

_CONDITIONS = {"Available", "Progressing", "ReplicaFailure"}
_ON_A_NODE = {Kind.UNREADY, Kind.NODE_LOST, Kind.STUCK}


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
            return self.progress.kind != "deployment" and pod.deletion_due is not None and pod.deletion_due < self.now
        return not has_ended(pod) and not is_ready(pod)

    @cached_property
    def troubles(self) -> tuple[Trouble, ...]:
        """What is wrong with them, without any grace, for that something is wrong is known; else with the others."""
        found = [trouble_of(pod, self.now, 0) for pod in self.unready or self.pods]
        return tuple(trouble for trouble in found if trouble is not None)

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
            elif (trouble := trouble_of(pod, self.now, self.grace.total_seconds())) is not None:
                yield trouble.since or since or self.now

    def _became_ready(self) -> Iterator[datetime]:
        for pod in self.pods:
            ready = condition(pod, "Ready")
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
        faults = {trouble.pod.name: trouble.kind for trouble in self.troubles}
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


def _is_lost(pod: Pod, faults: dict[str, Kind], owned: Owned) -> bool:
    if not pod.node:
        return False
    lost = faults.get(pod.name) is Kind.NODE_LOST or _was_marked_unready(pod)
    return lost or owned.nothing_is_ready_on(pod.node)


def _was_marked_unready(pod: Pod) -> bool:
    """
    True when the node controller took the pod's readiness, and not the kubelet.

    It does so when a node stops reporting, and leaves the last report of the containers as it was.
    """
    ready = condition(pod, "Ready")
    running = [container for container in containers(pod) if not container.init]
    if ready is None or ready.status == "True" or ready.reason == "ReadinessGatesNotReady":
        return False
    return bool(running) and all(container.status.ready for container in running)


def _times(found: Condition) -> tuple[datetime | None, datetime | None]:
    return found.last_transition_time, found.last_update_time
