"""The images that pods run."""

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve
from opscheck.systems.kubernetes.images import ImagesPinned
from opscheck.systems.kubernetes.owners import owner_reference
from opscheck.systems.kubernetes.pod_groups import by_workload, in_force, nothing_judged
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.systems.kubernetes.readings import images as reading
from opscheck.systems.kubernetes.remedies import place_facts, too_few_facts
from opscheck.systems.kubernetes.selection import count_matches, listed, matching


def test_the_images_are_pinned(expectation: ImagesPinned, observe: Observe, findings: Findings) -> None:
    """
    The selected pods run the images they should: named exactly, from known registries, the same in all replicas.

    What `latest` means changes with every push: two replicas of one workload answer differently, a restart is an
    upgrade that nobody planned, and there is no version to roll back to.
    """
    queries = expectation.ask(ListPods)
    there = listed(observe, queries)
    pods = in_force(matching(expectation, there))
    count_matches(expectation, there, pods, findings, kind="pods", facts=too_few_facts(expectation))
    used: list[reading.Use] = []
    for group in by_workload(pods):
        found = reading.uses(expectation, group)
        used += found
        for trouble in reading.troubles(expectation, group, found, observe.now):
            tell(expectation, trouble, findings)
    findings.measure("images", len({use.image for use in used}), subject=expectation.selected)
    if pods and not used:
        raise CouldNotObserve(queries[0], nothing_judged())
    for glob in reading.without_containers(expectation, used) if pods else ():
        findings.add(
            subject=expectation.selected,
            observed=f"no container is called {glob}",
            expected=f"a container {glob} with image {(expectation.expected or {})[glob]}",
            facts=too_few_facts(expectation),
        )


def tell(expectation: ImagesPinned, trouble: reading.Trouble, findings: Findings) -> None:
    """One finding."""
    group = trouble.group
    explained = owner_reference(expectation.target, group.pods[0]) if trouble.of_rollout else ""
    findings.add(
        subject=expectation.subject(group.pods[0], group.owner),
        observed=trouble.observed,
        expected=trouble.expected,
        since=trouble.since,
        evidence=trouble.evidence,
        facts=place_facts(expectation.target, group.namespace) | dict(trouble.facts),
        because=(explained,) if explained else (),
    )
