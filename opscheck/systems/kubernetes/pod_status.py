"""Faults of one pod, by its phase, conditions and containers."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from opscheck.core.remedy import Remedy
from opscheck.core.words import counted
from opscheck.systems.kubernetes.containers import OUT_OF_MEMORY, Reported, containers
from opscheck.systems.kubernetes.pods import (
    NODE_LOST,
    POD_CRASHED,
    POD_REPORT,
    POD_STUCK,
    POD_UNREADY,
    POD_UNSCHEDULED,
    Pod,
)
from opscheck.systems.kubernetes.words import lasting, latest, longer_than, message, messages, span

TOMBSTONE_COUNTS_FOR = timedelta(hours=1)
"""A failed pod that was replaced stays until it is collected, days later; it is reported for this long."""
WAITING_COUNTS_AFTER = timedelta(hours=1)
"""A pod of a job need not be ready, but a container that waits this long, for any reason, does not work."""
# A graceful shutdown of a node leaves these reasons behind (kubernetes/kubernetes#113278).
_SHUT_DOWN = {"Terminated", "Shutdown", "NodeShutdown"}


class FaultKind(Enum):
    """The kind of a fault; each has its own remedy."""

    CRASH = auto()
    CANNOT_START = auto()
    UNSCHEDULED = auto()
    UNREADY = auto()
    NODE_LOST = auto()
    STUCK = auto()
    TOMBSTONE = auto()
    RESTARTS = auto()
    OUT_OF_MEMORY = auto()


_REMEDIES = {
    FaultKind.CRASH: POD_CRASHED,
    FaultKind.RESTARTS: POD_CRASHED,
    FaultKind.OUT_OF_MEMORY: POD_CRASHED,
    FaultKind.UNSCHEDULED: POD_UNSCHEDULED,
    FaultKind.UNREADY: POD_UNREADY,
    FaultKind.NODE_LOST: NODE_LOST,
    FaultKind.STUCK: POD_STUCK,
}


@dataclass(frozen=True)
class PodFault:
    """The fault of one pod."""

    kind: FaultKind
    pod: Pod
    observed: str
    expected: str
    since: datetime | None = None
    container: Reported | None = None
    evidence: tuple[str, ...] = ()
    alike: tuple["PodFault", ...] = ()
    """The faults of all pods that it represents, its own first; empty for a single pod."""

    @property
    def out_of_memory(self) -> bool:
        """True when the container was killed at its memory limit."""
        ended = self.container and self.container.last_end
        return self.kind is FaultKind.OUT_OF_MEMORY or bool(ended and ended.reason == OUT_OF_MEMORY)

    @property
    def remedy(self) -> Remedy:
        """Its remedy, independent of the pod's owner."""
        if self.kind is FaultKind.NODE_LOST and not self.pod.node:
            return POD_REPORT
        return _REMEDIES.get(self.kind, POD_REPORT)

    @property
    def facts(self) -> dict[str, str]:
        """The values for commands about it."""
        return self.pod.facts | ({"container": self.container.name} if self.container else {})


def fault_of(pod: Pod, now: datetime, grace: float) -> PodFault | None:
    """
    The fault of `pod`; None when it is healthy, complete, or still within its `grace` seconds.

    Restarts are judged separately, by a limit of their own.
    """
    return next(_faults(pod, now, grace), None)


def _faults(pod: Pod, now: datetime, grace: float) -> Iterator[PodFault]:
    if pod.is_terminating:
        # A terminating pod may have any state, but it must disappear.
        yield from _stuck(pod, now, grace)
    elif pod.phase == "Succeeded":
        # Before its containers are inspected: a sidecar that was killed at the end leaves an exit code.
        return
    elif pod.phase == "Failed":
        yield from _failed(pod, now)
    elif _node_is_lost(pod):
        yield from _lost(pod, now, grace)
    elif _is_unscheduled(pod):
        yield from _unscheduled(pod, now, grace)
    elif not pod.is_ready or pod.has_restarted:
        for container in containers(pod):
            yield from _in_container(container, pod, now, grace)
        yield from _waiting_forever(pod, now, grace) if pod.is_of_job else _unready(pod, now, grace)


def _stuck(pod: Pod, now: datetime, grace: float) -> Iterator[PodFault]:
    # deletionTimestamp is the end of the grace period, not the time of the deletion.
    deadline = pod.deletion_due
    if deadline is None or not longer_than(grace, deadline, now):
        return
    kind, evidence = FaultKind.STUCK, [f"finalizers: {', '.join(pod.finalizers)}"] if pod.finalizers else []
    evidence += _disrupted(pod)
    if _node_is_lost(pod):
        kind = FaultKind.NODE_LOST
        evidence.append(f"node {pod.node} does not report, so the stop of the pod is not confirmed")
    observed = f"not removed {span(deadline, now)} after its deletion was due"
    yield PodFault(kind, pod, observed, "removed after its deletion", deadline, evidence=tuple(evidence))


def _disrupted(pod: Pod) -> Iterator[str]:
    """The component that ended it: the eviction of a node, the scheduler, the garbage collector."""
    target = pod.condition("DisruptionTarget", "True")
    if target is not None and (said := message(target.message)):
        yield f"{target.reason or 'DisruptionTarget'}: {said}"


def _failed(pod: Pod, now: datetime) -> Iterator[PodFault]:
    # The pods of a job fail one after the other until one succeeds: the job's own condition decides.
    if pod.is_of_job:
        return
    at, reason = _failed_at(pod), (pod.status and pod.status.reason) or "Failed"
    if pod.top_owner and (reason in _SHUT_DOWN or (at is not None and now - at > TOMBSTONE_COUNTS_FOR)):
        return
    bad = (one for one in containers(pod) if one.state.terminated and one.state.terminated.exit_code)
    ended = next(bad, None)
    observed = f"{reason}: container {ended.name}, {ended.described(ended.last_end, now)}" if ended else reason
    evidence = (*messages(pod.status and pod.status.message), *_disrupted(pod))
    yield PodFault(FaultKind.TOMBSTONE, pod, observed, "running and ready, or complete", at, ended, evidence)


def _failed_at(pod: Pod) -> datetime | None:
    ends = [container.state.terminated for container in containers(pod)]
    moved = pod.condition("DisruptionTarget") or pod.condition("Ready")
    ended = latest(*(end.finished_at for end in ends if end))
    return ended or (moved and moved.last_transition_time) or pod.started


def _node_is_lost(pod: Pod) -> bool:
    return pod.phase == "Unknown" or bool(pod.status and pod.status.reason == "NodeLost") or _is_forsaken(pod)


def _is_forsaken(pod: Pod) -> bool:
    """
    True when its node stopped reporting: its containers are still reported as ready, and the pod is not.

    Only the node controller leaves this state, without a reason; the kubelet always sets one.
    """
    ready, reports = pod.condition("Ready", "False"), (pod.status and pod.status.container_statuses) or ()
    if ready is None or ready.reason or not reports:
        return False
    return pod.condition("ContainersReady", "True") is not None and all(report.ready for report in reports)


def _lost(pod: Pod, now: datetime, grace: float) -> Iterator[PodFault]:
    ready = pod.condition("Ready")
    since = (ready and ready.last_transition_time) or pod.started
    if longer_than(grace, since, now):
        state = "unknown" if pod.phase == "Unknown" else "not ready"
        observed = f"{state}{lasting(since, now)}: node {pod.node} does not report"
        yield PodFault(FaultKind.NODE_LOST, pod, observed, "on a node that reports", since)


def _is_unscheduled(pod: Pod) -> bool:
    scheduled = pod.condition("PodScheduled")
    if scheduled is not None:
        return scheduled.status == "False"
    return pod.phase == "Pending" and not pod.node


def _unscheduled(pod: Pod, now: datetime, grace: float) -> Iterator[PodFault]:
    scheduled = pod.condition("PodScheduled")
    if scheduled is not None and scheduled.reason == "SchedulingGated":
        return  # held back on purpose, for example by a queue
    since = (scheduled and scheduled.last_transition_time) or pod.created
    if longer_than(grace, since, now):
        said = messages(scheduled.message if scheduled else "no scheduler has processed it")
        observed = f"not scheduled{lasting(since, now)} ({(scheduled and scheduled.reason) or 'Pending'})"
        yield PodFault(FaultKind.UNSCHEDULED, pod, observed, "scheduled on a node", since, evidence=said)


def _in_container(container: Reported, pod: Pod, now: datetime, grace: float) -> Iterator[PodFault]:
    if container.crashes_in_a_loop(now):
        yield from _crashes(container, pod, now, grace)
    elif container.cannot_start:
        since = pod.not_ready_since
        if longer_than(grace, since, now):
            observed = f"container {container.name} cannot start{lasting(since, now)}: {container.waiting_reason}"
            said = messages(container.state.waiting and container.state.waiting.message)
            yield PodFault(FaultKind.CANNOT_START, pod, observed, "running and ready", since, container, said)


def _crashes(container: Reported, pod: Pod, now: datetime, grace: float) -> Iterator[PodFault]:
    # While a pod starts, its containers may crash until their dependencies are available.
    if not longer_than(grace, pod.started, now):
        return
    ended, waiting = container.last_end, container.state.waiting
    end = container.described(ended, now)
    observed = f"container {container.name} crashes in a loop: {end}, {counted(container.restarts, 'restart')}"
    since = (ended and ended.finished_at) or pod.not_ready_since
    said = messages(ended and ended.message, waiting and waiting.message)
    yield PodFault(FaultKind.CRASH, pod, observed, "running and ready", since, container, said)


def _unready(pod: Pod, now: datetime, grace: float) -> Iterator[PodFault]:
    since = pod.not_ready_since
    if pod.is_ready or not longer_than(grace, since, now):
        return
    ready = pod.condition("Ready")
    behind = next((container for container in containers(pod) if _holds_up(container)), None)
    reasons = [f"container {behind.name} {_how(behind)}"] if behind else []
    reasons += [message(ready.message)] if ready and ready.reason == "ReadinessGatesNotReady" else []
    observed = f"not ready{lasting(since, now)}" + (f": {'; '.join(reasons)}" if reasons else "")
    said = messages(ready and ready.message)
    yield PodFault(FaultKind.UNREADY, pod, observed, "running and ready", since, behind, said)


def _waiting_forever(pod: Pod, now: datetime, grace: float) -> Iterator[PodFault]:
    # A pod of a job need not be ready, and its duration is judged with the job. But one that waits does not work.
    since, all_of_it = pod.not_ready_since, tuple(containers(pod))
    waits = next((one for one in all_of_it if one.waiting_reason and not one.last_end), None)
    works = any(one.state.running for one in all_of_it)
    if waits is not None and not works and longer_than(max(grace, WAITING_COUNTS_AFTER.total_seconds()), since, now):
        observed = f"container {waits.name} waits{lasting(since, now)} ({waits.waiting_reason})"
        said = messages(waits.state.waiting and waits.state.waiting.message)
        yield PodFault(FaultKind.UNREADY, pod, observed, "running", since, waits, said)


def _holds_up(container: Reported) -> bool:
    if container.init:
        ended = container.state.terminated
        return ended is None or bool(ended.exit_code)
    return not container.status.ready


def _how(container: Reported) -> str:
    if container.waiting_reason:
        return f"waits ({container.waiting_reason})"
    if container.state.running is None:
        return "does not run"
    if container.init:
        return "is an init container and still runs"
    return "runs, but its startup probe fails" if container.status.started is False else "runs, but is not ready"
