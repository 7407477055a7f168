"""What pods ask for."""

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve
from opscheck.systems.kubernetes.pod_groups import by_workload, in_force, nothing_judged
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.systems.kubernetes.readings import resources as reading
from opscheck.systems.kubernetes.remedies import place_facts, too_few_facts
from opscheck.systems.kubernetes.resources import ResourcesSet
from opscheck.systems.kubernetes.selection import count_matches, listed, matching


def test_the_resources_are_set(expectation: ResourcesSet, observe: Observe, findings: Findings) -> None:
    """
    Every container of the selected pods says what it needs and what it may use.

    A pod without requests is put on a node that may have no room for it, and is evicted first when memory is short;
    one without a memory limit can take a node down, with everybody else on it.
    """
    queries = expectation.ask(ListPods)
    there = listed(observe, queries)
    pods = in_force(reading.without_static(matching(expectation, there)))
    count_matches(expectation, there, pods, findings, kind="pods", facts=too_few_facts(expectation))
    for group in by_workload(pods):
        trouble = reading.trouble_of(expectation, group)
        if trouble is not None:
            findings.add(
                subject=expectation.subject(group.pods[0], group.owner),
                observed=trouble.observed,
                expected=f"every container sets {', '.join(expectation.require)}",
                evidence=trouble.evidence,
                facts=place_facts(expectation.target, group.namespace) | dict(trouble.facts),
            )
    containers = sum(1 for pod in pods for _ in reading.judged(expectation, pod))
    findings.measure("containers", containers, subject=expectation.selected)
    if pods and not containers:
        raise CouldNotObserve(queries[0], nothing_judged())
