"""What is wrong with a node, told from the node alone and the time, and whether its version fits the API server."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from opscheck.core.words import counted, some
from opscheck.systems.kubernetes.nodes import Node, NodesHealthy, Taint
from opscheck.systems.kubernetes.objects import Condition, condition
from opscheck.systems.kubernetes.words import lasting, longer_than, messages, span

UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
UNREACHABLE = "node.kubernetes.io/unreachable"

_PRESSURES = {
    "MemoryPressure": ("memory is short", "short_of_memory"),
    "DiskPressure": ("disk space or inodes are short", "short_of_disk"),
    "PIDPressure": ("process identifiers are short", ""),
}
_VERSION = re.compile(r"v?(\d{1,4})\.(\d{1,4})(?!\d)")
# https://kubernetes.io/releases/version-skew-policy/#kubelet
_FIRST_WITH_THREE = (1, 25)
_SKEW_BEFORE = 2
_NAMED = 10


@dataclass(frozen=True)
class Trouble:
    """What is wrong with one node."""

    node: Node
    observed: str
    expected: str
    since: datetime | None = None
    evidence: tuple[str, ...] = ()
    fact: str = ""
    """The fact that names the node for the remedies of just this trouble."""
    explains: bool = True
    """True when pods on the node may suffer from it."""
    subject: str = ""
    """Of several nodes, how many and which; `node` is then the first of them."""


def troubles(expectation: NodesHealthy, nodes: Sequence[Node], now: datetime) -> Iterator[Trouble]:
    """Everything that is wrong with the nodes and has been for longer than its grace."""
    judged = [_Judged(expectation, node, now) for node in nodes]
    for one in judged:
        yield from one.troubles()
    # What reports a condition is installed on all nodes or on none, so that its absence is one trouble.
    for kind, wanted in sorted(expectation.conditions.items()):
        if silent := [one.node for one in judged if one.never_reports(kind)]:
            yield _of_several(silent, f"no condition {kind} is reported", f"{kind} is {wanted}", f"without {kind}")


def _of_several(nodes: Sequence[Node], observed: str, expected: str, which: str, fact: str = "") -> Trouble:
    names = sorted(node.name for node in nodes)
    return Trouble(
        min(nodes, key=lambda node: node.name),
        observed,
        expected,
        evidence=(f"nodes: {some(names, _NAMED)}",) if len(names) > 1 else (),
        fact=fact,
        explains=False,
        subject=f"{len(names)} nodes {which}" if len(names) > 1 else names[0],
    )


def is_ready(node: Node) -> bool:
    """True when its kubelet says so, and still reports."""
    ready = _reported(node, "Ready")
    return ready is not None and ready.status == "True"


def is_cordoned(node: Node) -> bool:
    """True when nothing new may be scheduled there."""
    return bool(node.spec and node.spec.unschedulable)


def is_being_removed(expectation: NodesHealthy, node: Node) -> bool:
    """True when a taint says that an autoscaler or a cloud is about to take the node away."""
    keys = [taint.key or "" for taint in _taints(node)]
    return any(fnmatchcase(key, pattern) for key in keys for pattern in expectation.removal_taints)


def _taints(node: Node) -> tuple[Taint, ...]:
    return (node.spec and node.spec.taints) or ()


def _tainted_since(node: Node, key: str) -> datetime | None:
    times = [taint.time_added for taint in _taints(node) if taint.key == key and taint.time_added]
    return min(times, default=None)


def _reported(node: Node, kind: str) -> Condition | None:
    # One without a status says nothing, which is what a missing one says.
    found = condition(node.status and node.status.conditions, kind)
    return found if found and found.status else None


@dataclass(frozen=True)
class _Judged:
    expectation: NodesHealthy
    node: Node
    now: datetime

    def troubles(self) -> Iterator[Trouble]:
        if self.node.is_terminating:
            yield from self._leaving()
            return
        unready = tuple(self._unready())
        yield from unready
        if unready:
            return  # whatever else it says is from before
        yield from self._unreachable()
        for kind in _PRESSURES:
            yield from self._pressure(kind)
        yield from self._network()
        for kind, wanted in sorted(self.expectation.conditions.items()):
            yield from self._further(kind, wanted)
        yield from self._cordoned()

    def _leaving(self) -> Iterator[Trouble]:
        deleted, held = self.node.deletion_due, self.node.finalizers
        if deleted is None or not longer_than(self.expectation.removal_grace, deleted, self.now):
            return
        yield Trouble(
            self.node,
            f"still there {span(deleted, self.now)} after its deletion",
            "gone once it is deleted",
            deleted,
            (f"finalizers: {', '.join(held)}",) if held else (),
            fact="leaving",
        )

    def _unready(self) -> Iterator[Trouble]:
        if is_ready(self.node) or self._is_worked_on():
            return
        ready = _reported(self.node, "Ready")
        since = ready.last_transition_time if ready else self.node.created
        # A node that has said nothing yet is new, unless it is not.
        if (ready is None and since is None) or not self._is_over(since, self.expectation.grace):
            return
        yield Trouble(
            self.node,
            f"not ready{lasting(since, self.now)}{_why_unready(ready)}",
            "ready",
            since,
            (*messages(ready and ready.message), *self._cordoned_note()),
            fact="not_ready",
        )

    def _unreachable(self) -> Iterator[Trouble]:
        if all(taint.key != UNREACHABLE for taint in _taints(self.node)) or not is_ready(self.node):
            return  # a node that is not ready is told as that, or has its grace
        since = _tainted_since(self.node, UNREACHABLE)
        if self._is_over(since, self.expectation.grace):
            observed = f"tainted as unreachable{lasting(since, self.now)}, so that pods are evicted"
            yield Trouble(self.node, observed, "reachable", since, fact="not_ready")

    def _pressure(self, kind: str) -> Iterator[Trouble]:
        # Unknown is what the node controller writes when the kubelet is silent; that is told by Ready.
        found = _reported(self.node, kind)
        since = found and found.last_transition_time
        if found and found.status == "True" and self._is_over(since, self.expectation.pressure_grace):
            what, fact = _PRESSURES[kind]
            observed = f"{what}{lasting(since, self.now)} ({kind}), so that the kubelet evicts pods"
            yield Trouble(self.node, observed, f"no {kind}", since, messages(found.message), fact=fact)

    def _network(self) -> Iterator[Trouble]:
        found = _reported(self.node, "NetworkUnavailable")
        since = found and found.last_transition_time
        if found and found.status == "True" and self._is_over(since, self.expectation.grace):
            observed = f"without a network for pods{lasting(since, self.now)} (NetworkUnavailable)"
            yield Trouble(self.node, observed, "a network for pods", since, messages(found.message), fact="not_ready")

    def _further(self, kind: str, wanted: str) -> Iterator[Trouble]:
        found = _reported(self.node, kind)
        since = found and found.last_transition_time
        if found and found.status != wanted and self._is_over(since, self.expectation.grace):
            yield Trouble(
                self.node,
                f"{kind} is {found.status}{lasting(since, self.now)}",
                f"{kind} is {wanted}",
                since,
                messages(found.message),
            )

    def never_reports(self, kind: str) -> bool:
        """True when a node that should have told by now how it is in this respect has not."""
        return (
            is_ready(self.node)
            and not self.node.is_terminating
            and _reported(self.node, kind) is None
            and self.node.created is not None
            and self._is_over(self.node.created, self.expectation.grace)
        )

    def _cordoned(self) -> Iterator[Trouble]:
        since = self._cordoned_at()
        if since is not None and self._is_over(since, self.expectation.cordoned_grace):
            yield Trouble(
                self.node,
                f"cordoned{lasting(since, self.now)}",
                f"in service again within {self.expectation.cordoned_grace}",
                since,
                fact="cordoned",
                explains=False,
            )

    def _cordoned_at(self) -> datetime | None:
        return _tainted_since(self.node, UNSCHEDULABLE) if is_cordoned(self.node) else None

    def _is_worked_on(self) -> bool:
        since = self._cordoned_at()
        return since is not None and not self._is_over(since, self.expectation.cordoned_grace)

    def _cordoned_note(self) -> Iterator[str]:
        if is_cordoned(self.node):
            yield f"it has been cordoned{lasting(self._cordoned_at(), self.now)}"

    def _is_over(self, since: datetime | None, grace: float) -> bool:
        if is_being_removed(self.expectation, self.node):
            grace = max(grace, self.expectation.removal_grace)
        return longer_than(grace, since, self.now)


def _why_unready(ready: Condition | None) -> str:
    if ready is None:
        return ": its kubelet has never reported"
    reason = f" ({ready.reason})" if ready.reason else ""
    return f": its kubelet does not report{reason}" if ready.status == "Unknown" else reason


def minor_version(text: str | None) -> tuple[int, int] | None:
    """Major and minor of `v1.34.9-eks-3abf5ee` or `v1.31.2+k3s1`; None for what is no version."""
    found = _VERSION.match(text or "")
    return (int(found[1]), int(found[2])) if found else None


def kubelet_version(node: Node) -> str:
    """What its kubelet says of itself; empty before it has said anything."""
    return (node.status and node.status.node_info and node.status.node_info.kubelet_version) or ""


def version_troubles(
    expectation: NodesHealthy, nodes: Iterable[Node], server: tuple[int, int], server_text: str
) -> Iterator[Trouble]:
    """The kubelets that do not fit the API server: one finding for each of their versions, for one upgrade mends it."""
    by_version: dict[str, list[Node]] = {}
    for node in nodes:
        version = minor_version(kubelet_version(node))
        # A node that is about to go is how an upgrade looks half-way.
        if version is None or node.is_terminating or is_being_removed(expectation, node):
            continue
        if not _fits(version, server, expectation.version_skew or 0):
            by_version.setdefault(kubelet_version(node), []).append(node)
    for text, alike in sorted(by_version.items()):
        expected = _expected_version(minor_version(text) or server, server, expectation.version_skew or 0)
        observed = f"kubelet {text} beside API server {server_text}"
        yield _of_several(alike, observed, expected, f"with {text}", fact="outdated")


def _fits(kubelet: tuple[int, int], server: tuple[int, int], skew: int) -> bool:
    return kubelet[0] == server[0] and 0 <= server[1] - kubelet[1] <= _most_behind(kubelet, skew)


def _most_behind(kubelet: tuple[int, int], skew: int) -> int:
    return skew if kubelet >= _FIRST_WITH_THREE else min(skew, _SKEW_BEFORE)


def _expected_version(kubelet: tuple[int, int], server: tuple[int, int], skew: int) -> str:
    if kubelet > server:
        return "no kubelet newer than the API server"
    most = _most_behind(kubelet, skew)
    return f"at most {counted(most, 'minor version')} older than the API server"


def subject(trouble: Trouble) -> str:
    """The node, or how many and which."""
    return trouble.subject or trouble.node.name
