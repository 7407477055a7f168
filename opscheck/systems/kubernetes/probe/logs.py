"""Reads the logs of pods: one request per container, several at a time, lines counted as they arrive."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.units import format_duration
from opscheck.systems.kubernetes.containers import Reported, containers
from opscheck.systems.kubernetes.label_selectors import parse_selector
from opscheck.systems.kubernetes.lists import KubernetesRule
from opscheck.systems.kubernetes.logs import ContainerLog, LogMatches, PodLogs
from opscheck.systems.kubernetes.pods import Pod
from opscheck.systems.kubernetes.probe.client import Client, Deadline, Reply, Request
from opscheck.systems.kubernetes.probe.errors import message_of
from opscheck.systems.kubernetes.probe.log_scan import LogScan, compiled, most_frequent

_OK, _BAD_REQUEST, _NOT_FOUND = 200, 400, 404
# The kubelet's message for a container that never ran.
_NOT_STARTED = "is waiting to start"


@dataclass(frozen=True)
class LogRead:
    """One log to read, or the reason why it does not exist yet."""

    pod: Pod
    container: str
    previous: bool = False
    not_started: str = ""


def _plan(pod: Pod, query: PodLogs, now: datetime) -> list[LogRead]:
    """The logs of `pod` for `query`; empty when the pod has no container of that name."""
    # An init container ends before the application starts; a native sidecar runs next to it.
    every = [one for one in containers(pod) if one.name and (query.container or not one.init)]
    chosen = [one for one in every if query.container in {None, one.name}]
    # The containers of the application first.
    chosen.sort(key=lambda one: one.spec.restart_policy == "Always")
    return [read for container in chosen for read in _of(pod, container, query, now)]


def _of(pod: Pod, container: Reported, query: PodLogs, now: datetime) -> Iterator[LogRead]:
    ended = container.previous_end
    running = bool(container.state.running or container.state.terminated)
    if not running and ended is None:
        why = container.waiting_reason or (pod.status and pod.status.phase) or "new"
        yield LogRead(pod, container.name, not_started=why)
        return
    yield LogRead(pod, container.name)
    # Of a container that waits for its restart, the plain log is the previous one already.
    if running and ended and ended.finished_at and ended.finished_at > now - timedelta(seconds=query.window_s):
        yield LogRead(pod, container.name, previous=True)


@dataclass(frozen=True)
class _Part:
    """One log that was read: its scans, and its entry in the answer; None if the pod was deleted."""

    read: LogRead
    scans: tuple[LogScan, ...]
    log: ContainerLog | None


def read_logs(client: Client, query: PodLogs, pods: Iterable[Pod], deadline: Deadline) -> LogMatches:
    """Count the matching lines of those `pods` that the query selects. Raises ProbeError."""
    there, now = tuple(pods), datetime.now(UTC)
    selector = parse_selector(query.selector)
    selected = [pod for pod in there if selector.matches(pod.labels)]
    reads = [(read, len(planned)) for pod in selected for planned in [_plan(pod, query, now)] for read in planned]

    def one(job: tuple[LogRead, int]) -> _Part:
        read, siblings = job
        return _Reader(client, query, deadline).part(read, query.max_bytes // siblings)

    done = f"logs were read in {format_duration(deadline.timeout_s)}"
    advice = "raise `timeout`, or narrow `selector`, `window` or `max_bytes`"
    parts = client.in_parallel(one, reads, deadline, done=done, advice=advice)
    gone = {id(part.read.pod) for part in parts if part.log is None}
    return LogMatches(
        pods_there=len(there),
        pods_selected=len(selected) - len(gone),
        containers=tuple(part.log for part in parts if part.log is not None),
        signatures=most_frequent((part.log.pod, scan) for part in parts if part.log for scan in part.scans),
    )


class _Reader:
    def __init__(self, client: Client, query: PodLogs, deadline: Deadline) -> None:
        self._client = client
        self._query = query
        self._deadline = deadline
        self._matches = compiled(query.pattern, ignore_case=query.ignore_case)

    def part(self, read: LogRead, budget: int) -> _Part:
        """The content of one log. Raises ProbeError when every other log would fail alike."""
        if read.not_started:
            return _Part(read, (), _log(read, (), not_started=read.not_started))
        try:
            return self._read(read, budget)
        except ProbeError as error:
            if error.problem.kind is not ProblemKind.UNREADABLE:
                raise
            return _Part(read, (), _log(read, (), unread=error.problem.text))

    def _read(self, read: LogRead, budget: int) -> _Part:
        # A log that is too long is read from both ends: `limitBytes` keeps the oldest lines of the window, and the
        # current lines are at the other end.
        old = LogScan(self._matches)
        refused, cut = self._scan(read, old, max(1, budget // 2), tail=None)
        if refused is not None:
            return self._refused(read, refused)
        if not cut or old.last is None:
            return _Part(read, (old,), _log(read, (old,), cut=cut))
        new = LogScan(self._matches, after=old.last)
        refused, cut = self._scan(read, new, max(1, budget - budget // 2), tail=old.seen)
        if refused is not None:
            return self._refused(read, refused)
        whole = not cut and new.first is not None and new.first <= old.last
        return _Part(read, (old, new), _log(read, (old, new), cut=not whole))

    def _scan(self, read: LogRead, scan: LogScan, limit: int, tail: int | None) -> tuple[Reply | None, bool]:
        """Feed `scan`. Returns the reply of a refusal, and True when the log is longer than the part read."""
        reply = self._client.reply(self._request(read, limit, tail), self._deadline, sink=scan.feed, limit=limit)
        if reply.status != _OK:
            return reply, False
        cut = reply.cut or scan.size >= limit
        scan.finish(cut=cut)
        return None, cut

    def _request(self, read: LogRead, limit: int, tail: int | None) -> Request:
        parameters: dict[str, str | int] = {"container": read.container, "timestamps": "true"}
        parameters |= {"sinceSeconds": self._query.window_s, "limitBytes": limit}
        parameters |= {"previous": "true"} if read.previous else {}
        parameters |= {"tailLines": tail} if tail is not None else {}
        rule = KubernetesRule("", "pods/log", "get", self._query.namespace)
        return Request(f"/api/v1/namespaces/{read.pod.namespace}/pods/{read.pod.name}/log", rule, parameters)

    def _refused(self, read: LogRead, reply: Reply) -> _Part:
        said = message_of(reply)
        if reply.status == _NOT_FOUND:
            return _Part(read, (), None)  # the pod was deleted after the list
        if reply.status == _BAD_REQUEST and _NOT_STARTED in said:
            return _Part(read, (), _log(read, (), not_started=said.rpartition(": ")[2]))
        if reply.status == _BAD_REQUEST or reply.status >= 500:  # noqa: PLR2004 - the kubelet's own failures
            return _Part(read, (), _log(read, (), unread=said or f"answered {reply.status}"))
        raise self._client.refusal(self._request(read, 1, None), reply)


def _log(
    read: LogRead, scans: Sequence[LogScan], *, cut: bool = False, not_started: str = "", unread: str = ""
) -> ContainerLog:
    return ContainerLog(
        namespace=read.pod.namespace,
        pod=read.pod.name,
        container=read.container,
        previous=read.previous,
        owner=read.pod.top_owner,
        lines=sum(scan.lines for scan in scans),
        matches=sum(scan.matched for scan in scans),
        size=sum(scan.size for scan in scans),
        first_match=min((scan.first_match for scan in scans if scan.first_match), default=None),
        last_match=max((scan.last_match for scan in scans if scan.last_match), default=None),
        cut=cut,
        not_started=not_started,
        # The kubelet reports its failures with status 200, as a line without a time.
        unread=unread or next((scan.complaint for scan in scans if scan.complaint), ""),
    )
