"""Which logs are to be read: told from the pods' own statuses, before anything is asked."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from opscheck.systems.kubernetes.queries.logs import PodLogs
from opscheck.systems.kubernetes.queries.pods import Container, ContainerStatus, Pod


@dataclass(frozen=True)
class LogRead:
    """One container whose log is asked for, or the reason why it has none yet."""

    pod: Pod
    container: str
    previous: bool = False
    not_started: str = ""


def plan_reads(pod: Pod, query: PodLogs, now: datetime) -> list[LogRead]:
    """The logs of `pod` that `query` is about; empty when the pod has no container of that name."""
    return [read for container in _containers(pod, query.container) for read in _of(pod, container, query, now)]


def _containers(pod: Pod, wanted: str | None) -> Iterator[Container]:
    spec = pod.spec
    every = [*((spec and spec.containers) or ()), *((spec and spec.init_containers) or ())]
    ordinary = {id(container) for container in (spec and spec.containers) or ()}
    for container in every:
        # An init container is done before the application starts; a native sidecar runs beside it.
        runs = id(container) in ordinary or container.restart_policy == "Always"
        if container.name and (container.name == wanted or (wanted is None and runs)):
            yield container


def _of(pod: Pod, container: Container, query: PodLogs, now: datetime) -> Iterator[LogRead]:
    name = container.name or ""
    status = _status(pod, name)
    state, last = status and status.state, status and status.last_state
    ended = last and last.terminated
    waiting = state and state.waiting
    running = bool(state and (state.running or state.terminated))
    if not running and ended is None:
        yield LogRead(pod, name, not_started=(waiting and waiting.reason) or (pod.status and pod.status.phase) or "new")
        return
    yield LogRead(pod, name)
    # Of a container that waits for its restart, the plain log is the previous one already.
    within = ended and ended.finished_at and ended.finished_at > now - timedelta(seconds=query.window_s)
    if running and within:
        yield LogRead(pod, name, previous=True)


def _status(pod: Pod, name: str) -> ContainerStatus | None:
    reported = pod.status
    every = [
        *((reported and reported.container_statuses) or ()),
        *((reported and reported.init_container_statuses) or ()),
    ]
    return next((status for status in every if status.name == name), None)
