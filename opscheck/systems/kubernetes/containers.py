"""The containers of a pod with their reported states, init containers and sidecars included."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from opscheck.systems.kubernetes.pods import Container, ContainerState, ContainerStatus, Pod, Terminated
from opscheck.systems.kubernetes.words import span

_CRASH_LOOP = "CrashLoopBackOff"
OUT_OF_MEMORY = "OOMKilled"
LOOP = timedelta(minutes=10)
"""The kubelet forgets a container's crashes after it ran this long; crashes closer together are one loop."""
_CRASHES = 2
# The others are recognised by their spelling, such as ErrImagePull, ImagePullBackOff and RunContainerError.
_CANNOT_START = {"InvalidImageName", "RegistryUnavailable", "SignatureValidationFailed"}


@dataclass(frozen=True)
class Reported:
    """A container of a pod, and its status from the kubelet."""

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
        """The reason why it waits; empty when it does not."""
        return (self.state.waiting and self.state.waiting.reason) or ""

    @property
    def restarts(self) -> int:
        return self.status.restart_count or 0

    @property
    def called(self) -> str:
        """`container app`, `init container migrate`."""
        return f"{'init ' if self.init else ''}container {self.name}"

    @property
    def previous_end(self) -> Terminated | None:
        """Its termination before the last restart."""
        return self.status.last_state and self.status.last_state.terminated

    @property
    def last_end(self) -> Terminated | None:
        """Its last termination: the current one, or the one before the last restart."""
        return self.state.terminated or self.previous_end

    @property
    def out_of_memory(self) -> Terminated | None:
        """Its termination with OOMKilled: the current one, or the one before the last restart."""
        ends = (self.state.terminated, self.previous_end)
        return next((end for end in ends if end and end.reason == OUT_OF_MEMORY), None)

    @property
    def cannot_start(self) -> bool:
        """True when it waits for a condition that only a person can change."""
        reason = self.waiting_reason
        if reason == _CRASH_LOOP:
            return False
        return reason in _CANNOT_START or reason.startswith("Err") or reason.endswith(("Error", "BackOff"))

    def limit(self, resource: str) -> str | None:
        """The limit in force for `cpu` or `memory`: after a resize in place the status is right, not the spec."""
        in_force = self.status.resources and self.status.resources.limits
        asked = self.spec.resources and self.spec.resources.limits
        return (in_force or {}).get(resource) or (asked or {}).get(resource)

    def crashes_in_a_loop(self, now: datetime) -> bool:
        """
        True while it crashes again and again, also in the moments when it runs or has just ended.

        The state alone changes between running, terminated and waiting, so a single sample misses it.
        """
        if self.waiting_reason == _CRASH_LOOP:
            return True
        ended, running = self.last_end, self.state.running
        if ended is None or ended.finished_at is None or self.restarts < _CRASHES or self.waiting_reason:
            return False
        if ended is self.state.terminated and not ended.exit_code:
            return False  # it has done its work
        ran_briefly = ended.started_at is None or ended.finished_at - ended.started_at < LOOP
        runs_briefly = running is None or running.started_at is None or now - running.started_at < LOOP
        return ran_briefly and runs_briefly and now - ended.finished_at < LOOP

    def restarts_within(self, pod: Pod, now: datetime, seconds: float) -> tuple[int, int]:
        """
        Minimum and maximum number of restarts in the last `seconds`.

        The counter runs since the pod was created, and only the last termination is kept. The number is exact in three
        cases: nothing ended in the window, the pod is younger than the window, or the last run began before it.
        """
        count, begins = self.restarts, now - timedelta(seconds=seconds)
        last, running = self.previous_end, self.state.running
        restarted = (last and last.finished_at) or (running and running.started_at) or None
        if not count or restarted is None or restarted <= begins:
            return 0, 0
        if (born := pod.started) and born > begins:
            return count, count
        if last and last.started_at and last.started_at <= begins:
            return 1, 1
        return min(count, 2), count

    def described(self, ended: Terminated | None, now: datetime) -> str:
        """The termination in words: `exit code 137 (OOMKilled, memory limit 512Mi) 40s ago`."""
        if ended is None:
            return "no termination is recorded"
        notes = [ended.reason] if ended.reason else []
        if ended.reason == OUT_OF_MEMORY and (limit := self.limit("memory")):
            notes.append(f"memory limit {limit}")
        if ended.signal:
            notes.append(f"signal {ended.signal}")
        code = f"exit code {ended.exit_code}" if ended.exit_code is not None else "no exit code"
        ago = f" {span(ended.finished_at, now)} ago" if ended.finished_at else ""
        return code + (f" ({', '.join(notes)})" if notes else "") + ago


def containers(pod: Pod) -> Iterator[Reported]:
    """The containers of `pod`, init containers first; the status is empty before the first report."""
    by_name = {report.name: report for report in pod.reports}
    for asked, are_init in ((pod.spec and pod.spec.init_containers, True), (pod.spec and pod.spec.containers, False)):
        for container in asked or ():
            init = are_init and container.restart_policy != "Always"
            yield Reported(container, by_name.get(container.name) or ContainerStatus(), init)
