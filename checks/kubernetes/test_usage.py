"""The CPU and memory of a cluster."""

from opscheck import Findings, Observe
from opscheck.expectations.kubernetes import UsageWithinLimits
from opscheck.queries.observation import CouldNotObserve
from opscheck.readings.kubernetes_findings import place_facts
from opscheck.readings.kubernetes_usage import Usage, node_usage, pod_usage, resources, unjudged


def test_there_is_room(expectation: UsageWithinLimits, observe: Observe, findings: Findings) -> None:
    """
    Nodes keep room for more, and pods stay below their limits.

    A container that reaches its memory limit is killed, one that reaches its CPU limit is slowed down; on a node
    without memory the kubelet evicts pods, the heaviest first, whoever is to blame.
    """
    objects, metrics = expectation.queries()
    read = node_usage if expectation.of == "nodes" else pod_usage
    usage = read(expectation, observe(objects).items, observe(metrics).items, observe.now)
    grade_usage(expectation, usage, findings)
    if (problem := unjudged(expectation, usage)) is not None:
        raise CouldNotObserve(metrics, problem)


def grade_usage(expectation: UsageWithinLimits, usage: Usage, findings: Findings) -> None:
    """Hold each node to the limits; of the pods the fullest, and all that break them."""
    for resource in resources(expectation):
        limit = getattr(expectation, resource)
        for place, share in enumerate(usage.fullest(resource)):
            if expectation.of == "nodes" or place == 0 or limit.severity(share.percent):
                facts = place_facts(expectation.target, expectation.listed_namespace) | dict(share.facts)
                findings.grade(
                    resource, share.percent, limit, unit="%", subject=share.subject, detail=share.detail, facts=facts
                )
        if without := usage.unlimited.get(resource):
            findings.measure(f"pods without a {resource} limit", len(without))
    if usage.passed_over:
        findings.measure(f"{expectation.of} not measured yet", len(usage.passed_over))
