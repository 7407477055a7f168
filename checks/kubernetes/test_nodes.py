"""The nodes of a cluster."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from fractions import Fraction

from opscheck import Findings, Observe, Remedy
from opscheck.core.findings import FindingParts
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.record import Finding
from opscheck.core.words import counted, some, some_with_reasons
from opscheck.systems.kubernetes.api_server import ReadVersion
from opscheck.systems.kubernetes.nodes import (
    CONDITION,
    CORDONED,
    DISK_PRESSURE,
    FULL,
    MEMORY_PRESSURE,
    MISSING,
    NOT_READY,
    NOT_REMOVED,
    VERSION_SKEW,
    ListNodes,
    Node,
    NodesHealthy,
)
from opscheck.systems.kubernetes.objects import Condition, reference
from opscheck.systems.kubernetes.pods import Pod
from opscheck.systems.kubernetes.quantities import holds_its_node, parse_quantity, requested
from opscheck.systems.kubernetes.selection import count_matches, listed, listed_evidence, matching
from opscheck.systems.kubernetes.shares import Share, Shares
from opscheck.systems.kubernetes.words import cannot_tell, lasting, longer_than, messages, span

UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
UNREACHABLE = "node.kubernetes.io/unreachable"
_EVICTS = ", so the kubelet evicts pods"
BAD_CONDITIONS = {
    "MemoryPressure": ("memory is short", _EVICTS, "no MemoryPressure", MEMORY_PRESSURE),
    "DiskPressure": ("disk space or inodes are short", _EVICTS, "no DiskPressure", DISK_PRESSURE),
    "PIDPressure": ("process identifiers are short", _EVICTS, "no PIDPressure", CONDITION),
    "NetworkUnavailable": ("no network for pods", "", "a network for pods", NOT_READY),
}
LIMITED = {"pods": "pods", "cpu_requests": "cpu", "memory_requests": "memory"}
"""Fields of the expectation, and the node's resource for each share."""

_VERSION = re.compile(r"v?(\d{1,4})\.(\d{1,4})(?!\d)")
# https://kubernetes.io/releases/version-skew-policy/#kubelet
_FIRST_WITH_THREE = (1, 25)
_SKEW_BEFORE = 2
_NAMED = 10


def test_the_nodes_are_well(expectation: NodesHealthy, observe: Observe, findings: Findings) -> None:
    """
    Every selected node is ready, without pressure, schedulable, and of a supported version.

    A node that fails takes its pods with it. They are missing for minutes, or for good where the other nodes have no
    room.
    """
    there = observe(ListNodes(expectation.target.name)).items
    nodes = matching(expectation, there)
    staying = [node for node in nodes if not node.is_terminating]
    count_matches(expectation, there, staying, findings, remedy=MISSING)
    findings.measure("ready nodes", sum(node.is_ready for node in staying), subject=expectation.selected)
    findings.measure("cordoned nodes", sum(node.is_cordoned for node in staying), subject=expectation.selected)
    # Evidence; empty if no limit needs the pods, or if they cannot be listed.
    seen = pods_by_node(listed_evidence(observe, expectation.every_pod()).items)
    findings.report_all(state_findings(expectation, nodes, seen, observe.now, findings))
    judge_versions(expectation, nodes, observe, findings)
    judge_room(expectation, nodes, observe, findings)


def state_findings(
    expectation: NodesHealthy,
    nodes: Sequence[Node],
    pods: Mapping[str, Sequence[Pod]],
    now: datetime,
    findings: Findings,
) -> Iterator[Finding]:
    """The problems of the nodes' state that exceed their grace."""
    states = []
    for node in nodes:
        here = findings.on(node.name, about=reference(expectation.target, "node", node.name), node=node.name)
        states.append(NodeState(expectation, node, pods.get(node.name), now, here))
    for state in states:
        yield from state.findings()
    # The reporter of a condition is installed on all nodes or on no node: one finding for all.
    for kind, wanted in sorted(expectation.conditions.items()):
        if silent := [state.node for state in states if state.lacks(kind)]:
            observed, expected = f"condition {kind} is not reported", f"{kind} is {wanted}"
            yield shared_finding(expectation, silent, observed, expected, f"without {kind}", CONDITION)


def shared_finding(  # noqa: PLR0913, PLR0917 - the parts of a finding
    expectation: NodesHealthy, nodes: Sequence[Node], observed: str, expected: str, which: str, remedy: Remedy
) -> Finding:
    names = sorted(node.name for node in nodes)
    return expectation.finding(
        subject=f"{len(names)} nodes {which}" if len(names) > 1 else names[0],
        observed=observed,
        expected=expected,
        evidence=(f"nodes: {some(names, _NAMED)}",) if len(names) > 1 else (),
        remedies=(remedy,),
        facts={"node": names[0]},
    )


@dataclass(frozen=True)
class NodeState:
    """One node at one time."""

    expectation: NodesHealthy
    node: Node
    pods: Sequence[Pod] | None
    """The pods on it; None if they are unknown."""
    now: datetime
    here: Findings
    """The collection of its findings."""

    def findings(self) -> Iterator[Finding]:
        if self.node.is_terminating:
            yield from self._not_removed()
            return
        unready = tuple(self._unready())
        yield from unready
        if unready:
            return  # its other conditions are outdated
        yield from self._unreachable()
        yield from self._conditions()
        yield from self._cordoned()

    def lacks(self, kind: str) -> bool:
        """True when it has not reported that condition in time."""
        return (
            self.node.is_ready
            and not self.node.is_terminating
            and self.node.reported(kind) is None
            and self.node.created is not None
            and self._is_over(self.node.created, self.expectation.grace)
        )

    def _finding(
        self, observed: str, expected: str, remedy: Remedy, since: datetime | None, evidence: Iterable[str] = ()
    ) -> Finding:
        pods = [f"{counted(len(self.pods), 'pod')} on it"] if self.pods else []
        said = (*evidence, *pods)
        return self.here.finding(observed=observed, expected=expected, since=since, evidence=said, remedies=[remedy])

    def _not_removed(self) -> Iterator[Finding]:
        deleted, held = self.node.deletion_due, self.node.finalizers
        if deleted is not None and longer_than(self.expectation.removal_grace, deleted, self.now):
            observed = f"not removed {span(deleted, self.now)} after its deletion"
            evidence = [f"finalizers: {', '.join(held)}"] if held else []
            yield self._finding(observed, "removed after its deletion", NOT_REMOVED, deleted, evidence)

    def _unready(self) -> Iterator[Finding]:
        cordoned = self._cordoned_since()
        in_maintenance = cordoned is not None and not self._is_over(cordoned, self.expectation.cordoned_grace)
        if self.node.is_ready or in_maintenance:
            return
        ready = self.node.reported("Ready")
        since = ready.last_transition_time if ready else self.node.created
        # A node without a report is new, unless its age is unknown.
        if (ready is None and since is None) or not self._is_over(since, self.expectation.grace):
            return
        evidence = [*messages(ready and ready.message)]
        if self.node.is_cordoned:
            evidence.append(f"cordoned{lasting(cordoned, self.now)}")
        observed = f"not ready{lasting(since, self.now)}{_why_unready(ready)}"
        yield self._finding(observed, "ready", NOT_READY, since, evidence)

    def _unreachable(self) -> Iterator[Finding]:
        if all(taint.key != UNREACHABLE for taint in self.node.taints) or not self.node.is_ready:
            return  # a node that is not ready is already reported, or has its grace
        since = _tainted_since(self.node, UNREACHABLE)
        if self._is_over(since, self.expectation.grace):
            observed = f"tainted as unreachable{lasting(since, self.now)}, so pods are evicted"
            yield self._finding(observed, "reachable", NOT_READY, since)

    def _conditions(self) -> Iterator[Finding]:
        # The node controller writes Unknown when the kubelet is silent; that is reported as not ready.
        expectation = self.expectation
        for kind, (what, so_that, expected, remedy) in BAD_CONDITIONS.items():
            grace = expectation.grace if kind == "NetworkUnavailable" else expectation.pressure_grace
            found = self.node.reported(kind)
            if found and found.status == "True" and self._is_over(found.last_transition_time, grace):
                yield self._of_condition(found, what, f" ({kind}){so_that}", expected, remedy)
        for kind, wanted in sorted(expectation.conditions.items()):
            found = self.node.reported(kind)
            if found and found.status != wanted and self._is_over(found.last_transition_time, expectation.grace):
                yield self._of_condition(found, f"{kind} is {found.status}", "", f"{kind} is {wanted}", CONDITION)

    def _of_condition(self, found: Condition, what: str, so_that: str, expected: str, remedy: Remedy) -> Finding:
        since = found.last_transition_time
        observed = f"{what}{lasting(since, self.now)}{so_that}"
        return self._finding(observed, expected, remedy, since, messages(found.message))

    def _cordoned(self) -> Iterator[Finding]:
        since, grace = self._cordoned_since(), self.expectation.cordoned_grace
        if since is not None and self._is_over(since, grace):
            observed, expected = f"cordoned{lasting(since, self.now)}", f"in service again within {grace}"
            # A cordoned node does not explain problems of the pods on it.
            yield self.here.finding(observed=observed, expected=expected, since=since, remedies=[CORDONED], about="")

    def _cordoned_since(self) -> datetime | None:
        return _tainted_since(self.node, UNSCHEDULABLE) if self.node.is_cordoned else None

    def _is_over(self, since: datetime | None, grace: float) -> bool:
        if is_being_removed(self.expectation, self.node):
            grace = max(grace, self.expectation.removal_grace)
        return longer_than(grace, since, self.now)


def is_being_removed(expectation: NodesHealthy, node: Node) -> bool:
    """True when a taint announces the removal of the node by an autoscaler or a cloud."""
    keys = [taint.key or "" for taint in node.taints]
    return any(fnmatchcase(key, pattern) for key in keys for pattern in expectation.removal_taints)


def _tainted_since(node: Node, key: str) -> datetime | None:
    return min((taint.time_added for taint in node.taints if taint.key == key and taint.time_added), default=None)


def _why_unready(ready: Condition | None) -> str:
    if ready is None:
        return ": the kubelet has never reported"
    reason = f" ({ready.reason})" if ready.reason else ""
    return f": the kubelet does not report{reason}" if ready.status == "Unknown" else reason


def judge_versions(expectation: NodesHealthy, nodes: Sequence[Node], observe: Observe, findings: Findings) -> None:
    if expectation.version_skew is None:
        return
    query = ReadVersion(expectation.target.name)
    text = observe(query).git_version
    server = minor_version(text)
    if server is None:
        problem = f"invalid version {text[:40]!r} of the API server"
        advice = "set `version_skew: null` to judge no version"
        raise CouldNotObserve(query, Problem(kind=ProblemKind.UNREADABLE, text=problem, advice=advice))
    findings.report_all(version_findings(expectation, nodes, server, text))
    if silent := sum(minor_version(node.kubelet_version) is None for node in nodes):
        findings.measure("nodes of unknown version", silent)


def minor_version(text: str | None) -> tuple[int, int] | None:
    """Major and minor of `v1.34.9-eks-3abf5ee` or `v1.31.2+k3s1`; None for an invalid version."""
    found = _VERSION.match(text or "")
    return (int(found[1]), int(found[2])) if found else None


def version_findings(
    expectation: NodesHealthy, nodes: Iterable[Node], server: tuple[int, int], server_text: str
) -> Iterator[Finding]:
    """Findings for kubelets outside the version skew: one for each version, as one upgrade fixes it."""
    by_version: dict[str, list[Node]] = {}
    skew = expectation.version_skew or 0
    for node in nodes:
        version = minor_version(node.kubelet_version)
        # Nodes that are about to be removed are part of an upgrade in progress.
        if version is None or node.is_terminating or is_being_removed(expectation, node):
            continue
        if version[0] != server[0] or not 0 <= server[1] - version[1] <= _most_behind(version, skew):
            by_version.setdefault(node.kubelet_version, []).append(node)
    for text, alike in sorted(by_version.items()):
        version = minor_version(text) or server
        expected = "no kubelet newer than the API server"
        if version <= server:
            expected = f"<= {counted(_most_behind(version, skew), 'minor version')} older than the API server"
        observed = f"kubelet {text} with API server {server_text}"
        yield shared_finding(expectation, alike, observed, expected, f"with {text}", VERSION_SKEW)


def _most_behind(kubelet: tuple[int, int], skew: int) -> int:
    return skew if kubelet >= _FIRST_WITH_THREE else min(skew, _SKEW_BEFORE)


def judge_room(expectation: NodesHealthy, nodes: Sequence[Node], observe: Observe, findings: Findings) -> None:
    """Compare the share of each node that its pods use with the limits."""
    queries = expectation.every_pod()
    if not queries:
        return
    found = room(expectation, nodes, pods_by_node(listed(observe, queries)))
    for share in found.found:
        share.grade(findings, expectation, share.limit.replace("_", " "))
    if found.missing:
        text = f"free capacity of nodes unknown: {some_with_reasons(found.missing)}"
        raise CouldNotObserve(queries[0], cannot_tell(text, "leave such nodes out with `selector` or `name`"))


def pods_by_node(pods: Iterable[Pod]) -> Mapping[str, Sequence[Pod]]:
    """The pods that use resources, by node."""
    found = defaultdict(list)
    for pod in pods:
        if holds_its_node(pod):
            found[pod.node].append(pod)
    return found


def room(expectation: NodesHealthy, nodes: Iterable[Node], on_node: Mapping[str, Sequence[Pod]]) -> Shares:
    """The share of each node that its pods use, for every limit of the policy."""
    shares = Shares()
    for node in nodes:
        if node.is_terminating:
            continue
        try:
            shares.found += _taken(expectation, node, on_node.get(node.name, ()))
        except ValueError as error:
            shares.missing[node.name] = str(error)
    return shares


def _taken(expectation: NodesHealthy, node: Node, pods: Sequence[Pod]) -> Iterator[Share]:
    for limit, resource in LIMITED.items():
        if getattr(expectation, limit) is None:
            continue
        has = _allocatable(node, resource)
        if has is None:
            if node.is_ready:
                raise ValueError(f"no allocatable {resource} reported")
            continue  # it has not reported yet; its readiness is judged separately
        each = (Fraction(1) if resource == "pods" else requested(pod, resource) for pod in pods)
        used = sum(each, Fraction(0))
        parts: FindingParts = {"remedies": [FULL], "facts": {"node": node.name}}
        yield Share(limit, node.name, float(used / has * 100), _detail(used, has, resource), parts)


def _allocatable(node: Node, resource: str) -> Fraction | None:
    status = node.status
    text = ((status and status.allocatable) or {}).get(resource) or ((status and status.capacity) or {}).get(resource)
    # A share of zero is undefined.
    return (parse_quantity(text) or None) if text else None


def _detail(used: Fraction, has: Fraction, resource: str) -> str:
    match resource:
        case "cpu":
            return f"{float(used):.3g} of {float(has):.3g} cores"
        case "memory":
            return f"{float(used / 2**20):.0f}Mi of {float(has / 2**20):.0f}Mi"
    return f"{int(used)} of {int(has)}"
