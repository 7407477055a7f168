"""The CPU and memory of a cluster."""

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.systems.kubernetes.readings.usage import Usage, node_usage, pod_usage, resources, unjudged
from opscheck.systems.kubernetes.remedies import place_facts
from opscheck.systems.kubernetes.selection import listed
from opscheck.systems.kubernetes.usage import ListPodUsage, UsageWithinLimits


def test_there_is_room(expectation: UsageWithinLimits, observe: Observe, findings: Findings) -> None:
    """
    Nodes keep room for more, and pods stay below their limits.

    A container that reaches its memory limit is killed, one that reaches its CPU limit is slowed down; on a node
    without memory the kubelet evicts pods, the heaviest first, whoever is to blame.
    """
    if expectation.of == "nodes":
        nodes, measured = listed(observe, expectation.nodes()), listed(observe, expectation.node_metrics())
        usage = node_usage(expectation, nodes, measured, observe.now)
    else:
        pods = listed(observe, expectation.ask(ListPods))
        usage = pod_usage(expectation, pods, listed(observe, expectation.ask(ListPodUsage)), observe.now)
    grade_usage(expectation, usage, findings)
    if (problem := unjudged(expectation, usage)) is not None:
        raise CouldNotObserve(next(iter(expectation.looks_at())), problem)


def grade_usage(expectation: UsageWithinLimits, usage: Usage, findings: Findings) -> None:
    """Hold each node to the limits; of the pods the fullest, and all that break them."""
    for resource in resources(expectation):
        limit = getattr(expectation, resource)
        for place, share in enumerate(usage.fullest(resource)):
            if expectation.of == "nodes" or place == 0 or limit.severity(share.percent):
                facts = place_facts(expectation.target, expectation.only_namespace) | dict(share.facts)
                findings.grade(
                    resource, share.percent, limit, unit="%", subject=share.subject, detail=share.detail, facts=facts
                )
        if without := usage.unlimited.get(resource):
            findings.measure(f"pods without a {resource} limit", len(without))
    if usage.passed_over:
        findings.measure(f"{expectation.of} not measured yet", len(usage.passed_over))
