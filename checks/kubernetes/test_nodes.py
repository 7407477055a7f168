"""The nodes of a cluster."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from fractions import Fraction

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.words import counted, some, some_with_reasons
from opscheck.systems.kubernetes.nodes import Node, NodesHealthy
from opscheck.systems.kubernetes.objects import Condition
from opscheck.systems.kubernetes.owners import reference
from opscheck.systems.kubernetes.pods import Pod
from opscheck.systems.kubernetes.quantities import holds_its_node, parse_quantity, requested
from opscheck.systems.kubernetes.remedies import place_facts
from opscheck.systems.kubernetes.selection import count_matches, listed, listed_aside, matching
from opscheck.systems.kubernetes.words import cannot_tell, lasting, longer_than, messages, span

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

LIMITED = {"pods": "pods", "cpu_requests": "cpu", "memory_requests": "memory"}
"""Fields of the expectation, and the resource of the node that each is a share of."""


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
        if self.node.is_ready or self._is_worked_on():
            return
        ready = self.node.reported("Ready")
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
        if all(taint.key != UNREACHABLE for taint in self.node.taints) or not self.node.is_ready:
            return  # a node that is not ready is told as that, or has its grace
        since = _tainted_since(self.node, UNREACHABLE)
        if self._is_over(since, self.expectation.grace):
            observed = f"tainted as unreachable{lasting(since, self.now)}, so that pods are evicted"
            yield Trouble(self.node, observed, "reachable", since, fact="not_ready")

    def _pressure(self, kind: str) -> Iterator[Trouble]:
        # Unknown is what the node controller writes when the kubelet is silent; that is told by Ready.
        found = self.node.reported(kind)
        since = found and found.last_transition_time
        if found and found.status == "True" and self._is_over(since, self.expectation.pressure_grace):
            what, fact = _PRESSURES[kind]
            observed = f"{what}{lasting(since, self.now)} ({kind}), so that the kubelet evicts pods"
            yield Trouble(self.node, observed, f"no {kind}", since, messages(found.message), fact=fact)

    def _network(self) -> Iterator[Trouble]:
        found = self.node.reported("NetworkUnavailable")
        since = found and found.last_transition_time
        if found and found.status == "True" and self._is_over(since, self.expectation.grace):
            observed = f"without a network for pods{lasting(since, self.now)} (NetworkUnavailable)"
            yield Trouble(self.node, observed, "a network for pods", since, messages(found.message), fact="not_ready")

    def _further(self, kind: str, wanted: str) -> Iterator[Trouble]:
        found = self.node.reported(kind)
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
            self.node.is_ready
            and not self.node.is_terminating
            and self.node.reported(kind) is None
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
        return _tainted_since(self.node, UNSCHEDULABLE) if self.node.is_cordoned else None

    def _is_worked_on(self) -> bool:
        since = self._cordoned_at()
        return since is not None and not self._is_over(since, self.expectation.cordoned_grace)

    def _cordoned_note(self) -> Iterator[str]:
        if self.node.is_cordoned:
            yield f"it has been cordoned{lasting(self._cordoned_at(), self.now)}"

    def _is_over(self, since: datetime | None, grace: float) -> bool:
        if is_being_removed(self.expectation, self.node):
            grace = max(grace, self.expectation.removal_grace)
        return longer_than(grace, since, self.now)


@dataclass(frozen=True)
class Taken:
    """How much of one thing pods have taken of a node."""

    node: Node
    limit: str
    """The field of the expectation."""
    percent: float
    detail: str


@dataclass
class Room:
    """All that could be judged, and what could not."""

    taken: list[Taken] = field(default_factory=list)
    unjudged: dict[str, str] = field(default_factory=dict)
    """Node, and why it could not be judged."""


def test_the_nodes_are_well(expectation: NodesHealthy, observe: Observe, findings: Findings) -> None:
    """
    Every selected node is ready, under no pressure, in service, and of a version that fits the API server.

    A node that goes takes its pods with it: they are missing for minutes, until others take their place, and where
    the other nodes have no room for them, for good.
    """
    nodes = count_nodes(expectation, listed(observe, expectation.nodes()), findings)
    tell(expectation, troubles(expectation, nodes, observe.now), findings, seen_pods(expectation, observe))
    judge_versions(expectation, nodes, observe, findings)
    judge_room(expectation, nodes, observe, findings)


def count_nodes(expectation: NodesHealthy, there: Sequence[Node], findings: Findings) -> tuple[Node, ...]:
    """Hold the number of nodes to what there must be, and return those that are selected."""
    nodes = matching(expectation, there)
    staying = tuple(node for node in nodes if not node.is_terminating)
    missing = {"missing": expectation.selector or expectation.name or "any node"}
    count_matches(expectation, there, staying, findings, facts=place_facts(expectation.target, None) | missing)
    findings.measure("ready nodes", sum(node.is_ready for node in staying), subject=expectation.selected)
    findings.measure("cordoned nodes", sum(node.is_cordoned for node in staying), subject=expectation.selected)
    return nodes


def seen_pods(expectation: NodesHealthy, observe: Observe) -> Mapping[str, Sequence[Pod]]:
    """The pods on each node, as evidence; empty where no limit needs them or they cannot be listed."""
    return pods_by_node(listed_aside(observe, expectation.every_pod()).items)


def tell(
    expectation: NodesHealthy,
    troubles: Iterable[Trouble],
    findings: Findings,
    on_node: Mapping[str, Sequence[Pod]],
) -> None:
    """One finding for each trouble."""
    for trouble in troubles:
        name = trouble.node.name
        pods = (f"{len(on_node[name])} pods are on it",) if name in on_node and trouble.explains else ()
        findings.add(
            subject=subject(trouble),
            observed=trouble.observed,
            expected=trouble.expected,
            since=trouble.since,
            evidence=(*trouble.evidence, *pods),
            facts=place_facts(expectation.target, None)
            | {"node": name}
            | ({trouble.fact: name} if trouble.fact else {}),
            about=reference(expectation.target, "node", name) if trouble.explains else "",
        )


def judge_versions(expectation: NodesHealthy, nodes: Sequence[Node], observe: Observe, findings: Findings) -> None:
    """Hold the kubelets' versions to the API server's."""
    if expectation.version_skew is None:
        return
    query = expectation.version()
    text = observe(query).git_version
    server = minor_version(text)
    if server is None:
        told = f"the API server's version {text[:40]!r} cannot be read"
        advice = "set `version_skew: null` to judge no version"
        raise CouldNotObserve(query, Problem(kind=ProblemKind.UNREADABLE, text=told, advice=advice))
    tell(expectation, version_troubles(expectation, nodes, server, text), findings, {})
    if silent := sum(minor_version(node.kubelet_version) is None for node in nodes):
        findings.measure("nodes of unknown version", silent)


def judge_room(expectation: NodesHealthy, nodes: Sequence[Node], observe: Observe, findings: Findings) -> None:
    """Hold what pods take of each node to the limits."""
    queries = expectation.every_pod()
    if not queries:
        return
    found = room(expectation, nodes, pods_by_node(listed(observe, queries)))
    for taken in found.taken:
        name = taken.node.name
        facts = place_facts(expectation.target, None) | {"node": name, "crowded": name}
        limit, words = getattr(expectation, taken.limit), taken.limit.replace("_", " ")
        findings.grade(words, taken.percent, limit, unit="%", subject=name, detail=taken.detail, facts=facts)
    if (problem := unjudged(found)) is not None:
        raise CouldNotObserve(queries[0], problem)


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


def is_being_removed(expectation: NodesHealthy, node: Node) -> bool:
    """True when a taint says that an autoscaler or a cloud is about to take the node away."""
    keys = [taint.key or "" for taint in node.taints]
    return any(fnmatchcase(key, pattern) for key in keys for pattern in expectation.removal_taints)


def _tainted_since(node: Node, key: str) -> datetime | None:
    times = [taint.time_added for taint in node.taints if taint.key == key and taint.time_added]
    return min(times, default=None)


def _why_unready(ready: Condition | None) -> str:
    if ready is None:
        return ": its kubelet has never reported"
    reason = f" ({ready.reason})" if ready.reason else ""
    return f": its kubelet does not report{reason}" if ready.status == "Unknown" else reason


def minor_version(text: str | None) -> tuple[int, int] | None:
    """Major and minor of `v1.34.9-eks-3abf5ee` or `v1.31.2+k3s1`; None for what is no version."""
    found = _VERSION.match(text or "")
    return (int(found[1]), int(found[2])) if found else None


def version_troubles(
    expectation: NodesHealthy, nodes: Iterable[Node], server: tuple[int, int], server_text: str
) -> Iterator[Trouble]:
    """The kubelets that do not fit the API server: one finding for each of their versions, for one upgrade mends it."""
    by_version: dict[str, list[Node]] = {}
    for node in nodes:
        version = minor_version(node.kubelet_version)
        # A node that is about to go is how an upgrade looks half-way.
        if version is None or node.is_terminating or is_being_removed(expectation, node):
            continue
        if not _fits(version, server, expectation.version_skew or 0):
            by_version.setdefault(node.kubelet_version, []).append(node)
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


def pods_by_node(pods: Iterable[Pod]) -> Mapping[str, Sequence[Pod]]:
    """The pods that take room, by the node they are on."""
    found = defaultdict(list)
    for pod in pods:
        if holds_its_node(pod):
            found[pod.node].append(pod)
    return found


def room(expectation: NodesHealthy, nodes: Iterable[Node], on_node: Mapping[str, Sequence[Pod]]) -> Room:
    """What pods have taken of each node, for every limit that the policy sets."""
    found = Room()
    for node in nodes:
        if node.is_terminating:
            continue
        try:
            found.taken += _taken(expectation, node, on_node.get(node.name, ()))
        except ValueError as error:
            found.unjudged[node.name] = str(error)
    return found


def _taken(expectation: NodesHealthy, node: Node, pods: Sequence[Pod]) -> Iterator[Taken]:
    for limit, resource in LIMITED.items():
        if getattr(expectation, limit) is None:
            continue
        has = _allocatable(node, resource)
        if has is None:
            if node.is_ready:
                raise ValueError(f"it reports no allocatable {resource}")
            continue  # a node that has not reported yet; whether it should have is another matter
        used = (
            Fraction(len(pods)) if resource == "pods" else sum((requested(pod, resource) for pod in pods), Fraction(0))
        )
        yield Taken(node, limit, float(used / has * 100), _detail(used, has, resource))


def _allocatable(node: Node, resource: str) -> Fraction | None:
    status = node.status
    text = ((status and status.allocatable) or {}).get(resource) or ((status and status.capacity) or {}).get(resource)
    # A share of nothing is no number.
    return (parse_quantity(text) or None) if text else None


def _detail(used: Fraction, has: Fraction, resource: str) -> str:
    match resource:
        case "cpu":
            return f"{float(used):.3g} of {float(has):.3g} cores"
        case "memory":
            return f"{float(used / 2**20):.0f}Mi of {float(has / 2**20):.0f}Mi"
    return f"{int(used)} of {int(has)}"


def unjudged(found: Room) -> Problem | None:
    """Why this cannot be called kept, where a node's room is not known."""
    if not found.unjudged:
        return None
    return cannot_tell(
        f"the room on these nodes is not known: {some_with_reasons(found.unjudged)}",
        "leave such nodes out with `selector` or `name`",
    )
