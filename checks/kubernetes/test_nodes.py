"""The nodes of a cluster."""

from collections.abc import Iterable, Mapping, Sequence

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.systems.kubernetes.nodes import Node, NodesHealthy
from opscheck.systems.kubernetes.owners import reference
from opscheck.systems.kubernetes.pods import Pod
from opscheck.systems.kubernetes.readings import nodes as reading
from opscheck.systems.kubernetes.readings.node_room import pods_by_node, room, unjudged
from opscheck.systems.kubernetes.remedies import place_facts
from opscheck.systems.kubernetes.selection import count_matches, listed, listed_aside, matching


def test_the_nodes_are_well(expectation: NodesHealthy, observe: Observe, findings: Findings) -> None:
    """
    Every selected node is ready, under no pressure, in service, and of a version that fits the API server.

    A node that goes takes its pods with it: they are missing for minutes, until others take their place, and where
    the other nodes have no room for them, for good.
    """
    nodes = count_nodes(expectation, listed(observe, expectation.nodes()), findings)
    tell(expectation, reading.troubles(expectation, nodes, observe.now), findings, seen_pods(expectation, observe))
    judge_versions(expectation, nodes, observe, findings)
    judge_room(expectation, nodes, observe, findings)


def count_nodes(expectation: NodesHealthy, there: Sequence[Node], findings: Findings) -> tuple[Node, ...]:
    """Hold the number of nodes to what there must be, and return those that are selected."""
    nodes = matching(expectation, there)
    staying = tuple(node for node in nodes if not node.is_terminating)
    missing = {"missing": expectation.selector or expectation.name or "any node"}
    count_matches(expectation, there, staying, findings, facts=place_facts(expectation.target, None) | missing)
    findings.measure("ready nodes", sum(map(reading.is_ready, staying)), subject=expectation.selected)
    findings.measure("cordoned nodes", sum(map(reading.is_cordoned, staying)), subject=expectation.selected)
    return nodes


def seen_pods(expectation: NodesHealthy, observe: Observe) -> Mapping[str, Sequence[Pod]]:
    """The pods on each node, as evidence; empty where no limit needs them or they cannot be listed."""
    return pods_by_node(listed_aside(observe, expectation.every_pod()).items)


def tell(
    expectation: NodesHealthy,
    troubles: Iterable[reading.Trouble],
    findings: Findings,
    on_node: Mapping[str, Sequence[Pod]],
) -> None:
    """One finding for each trouble."""
    for trouble in troubles:
        name = trouble.node.name
        pods = (f"{len(on_node[name])} pods are on it",) if name in on_node and trouble.explains else ()
        findings.add(
            subject=reading.subject(trouble),
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
    server = reading.minor_version(text)
    if server is None:
        told = f"the API server's version {text[:40]!r} cannot be read"
        advice = "set `version_skew: null` to judge no version"
        raise CouldNotObserve(query, Problem(kind=ProblemKind.UNREADABLE, text=told, advice=advice))
    tell(expectation, reading.version_troubles(expectation, nodes, server, text), findings, {})
    if silent := sum(reading.minor_version(reading.kubelet_version(node)) is None for node in nodes):
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
