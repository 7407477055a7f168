"""TODO."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from opscheck.systems.kubernetes.pods import Container, ContainerState, ContainerStatus, Pod, Terminated
from opscheck.systems.kubernetes.words import span

CRASH_LOOP = "CrashLoopBackOff"
OUT_OF_MEMORY = "OOMKilled"
LOOP = timedelta(minutes=10)
"""The kubelet forgets a container's crashes after it ran this long; crashes closer together are one loop."""
_CRASHES = 2
# The others are told by how they are spelled, such as ErrImagePull, ImagePullBackOff and RunContainerError.
_CANNOT_START = {"InvalidImageName", "RegistryUnavailable", "SignatureValidationFailed"}


@dataclass(frozen=True)
class Reported:
    """A container of a pod, and what the kubelet says of it."""

    spec: Container
    status: ContainerStatus
    init: bool
    """True for an init container that ends before the others start; a native sidecar does not."""

    @property
    def name(self) -> str:
        return self.spec.name or self.status.name or ""

    @property
    def state(self) -> ContainerState:
        return self.status.state or ContainerState()

    @property
    def waiting_reason(self) -> str:
        """Why it waits; empty when it does not."""
        return (self.state.waiting and self.state.waiting.reason) or ""

    @property
    def restarts(self) -> int:
        return self.status.restart_count or 0

    @property
    def last_end(self) -> Terminated | None:
        """How it ended last: just now, or before its last restart."""
        return self.state.terminated or (self.status.last_state and self.status.last_state.terminated) or None

    @property
    def out_of_memory(self) -> Terminated | None:
        """The end at which it was killed for memory: the one just now, or the one before its last restart."""
        before = self.status.last_state and self.status.last_state.terminated
        return next((end for end in (self.state.terminated, before) if end and end.reason == OUT_OF_MEMORY), None)

    def limit(self, resource: str) -> str | None:
        """The limit in force for `cpu` or `memory`: after a resize in place the status knows better than the spec."""
        in_force = self.status.resources and self.status.resources.limits
        asked = self.spec.resources and self.spec.resources.limits
        return (in_force or {}).get(resource) or (asked or {}).get(resource)


def containers(pod: Pod) -> Iterator[Reported]:
    """The containers of `pod`, init containers first; one that has no report yet has an empty one."""
    by_name = {report.name: report for report in pod.reports}
    for asked, are_init in ((pod.spec and pod.spec.init_containers, True), (pod.spec and pod.spec.containers, False)):
        for container in asked or ():
            init = are_init and container.restart_policy != "Always"
            yield Reported(container, by_name.get(container.name) or ContainerStatus(), init)


def has_restarted(pod: Pod) -> bool:
    """True when any of its containers has; of thousands of pods few have, and the others are soon judged."""
    return any(report.restart_count for report in pod.reports)


def cannot_start(reason: str) -> bool:
    """True when a container that waits for this reason does not start until somebody acts."""
    if reason == CRASH_LOOP:
        return False
    return reason in _CANNOT_START or reason.startswith("Err") or reason.endswith(("Error", "BackOff"))


def crashes_in_a_loop(container: Reported, now: datetime) -> bool:
    """
    True while a container crashes again and again, also in the moments when it runs or has just ended.

    The state alone flips between running, terminated and waiting, so that one look misses it.
    """
    if container.waiting_reason == CRASH_LOOP:
        return True
    ended, running = container.last_end, container.state.running
    if ended is None or ended.finished_at is None or container.restarts < _CRASHES or container.waiting_reason:
        return False
    if ended is container.state.terminated and not ended.exit_code:
        return False  # it has done its work
    ran_briefly = ended.started_at is None or ended.finished_at - ended.started_at < LOOP
    runs_briefly = running is None or running.started_at is None or now - running.started_at < LOOP
    return ran_briefly and runs_briefly and now - ended.finished_at < LOOP


def restarts_within(container: Reported, pod: Pod, now: datetime, seconds: float) -> tuple[int, int]:
    """
    How often it restarted in the last `seconds`, at least and at most.

    The counter runs since the pod was made, and only the last termination is kept. It tells how often in three
    cases: nothing ended in the window, the pod is younger than the window, or the last run began before it.
    """
    count, begins = container.restarts, now - timedelta(seconds=seconds)
    last = container.status.last_state and container.status.last_state.terminated
    running = container.state.running
    restarted = (last and last.finished_at) or (running and running.started_at) or None
    if not count or restarted is None or restarted <= begins:
        return 0, 0
    if (born := pod.started) and born > begins:
        return count, count
    if last and last.started_at and last.started_at <= begins:
        return 1, 1
    return min(count, 2), count


def described_end(ended: Terminated | None, container: Reported, now: datetime) -> str:
    """How the container ended: `exit code 137 (OOMKilled, memory limit 512Mi) 40s ago`."""
    if ended is None:
        return "it left no trace of how it ended"
    notes = [ended.reason] if ended.reason else []
    if ended.reason == OUT_OF_MEMORY and (limit := container.limit("memory")):
        notes.append(f"memory limit {limit}")
    if ended.signal:
        notes.append(f"signal {ended.signal}")
    code = f"exit code {ended.exit_code}" if ended.exit_code is not None else "no exit code"
    ago = f" {span(ended.finished_at, now)} ago" if ended.finished_at else ""
    return code + (f" ({', '.join(notes)})" if notes else "") + ago
