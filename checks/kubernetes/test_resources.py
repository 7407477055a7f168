"""The resource requests and limits of pods."""

from collections.abc import Iterator

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve
from opscheck.core.record import Finding
from opscheck.systems.kubernetes.containers import Reported
from opscheck.systems.kubernetes.objects import Owner, Quantities
from opscheck.systems.kubernetes.pod_groups import PodGroup, by_workload, in_force, judged_containers, nothing_judged
from opscheck.systems.kubernetes.pods import MISSING_PODS, ListPods, Pod, Resources
from opscheck.systems.kubernetes.quantities import parse_quantity
from opscheck.systems.kubernetes.resources import SET_IN_CLUSTER, SET_IN_SPEC, ResourcesSet
from opscheck.systems.kubernetes.selection import count_matches, listed, matching


def test_the_resources_are_set(expectation: ResourcesSet, observe: Observe, findings: Findings) -> None:
    """
    Every container of the selected pods has resource requests and limits.

    A pod without requests is scheduled to a node that may have no room, and is evicted first. One without a memory
    limit can take a node down with all of its pods.
    """
    queries = expectation.lists(ListPods)
    there = listed(observe, queries)
    # The API cannot change static pods, which a node runs from files.
    pods = in_force(pod for pod in matching(expectation, there) if (pod.controller or Owner()).kind != "Node")
    count_matches(expectation, there, pods, findings, kind="pods", remedy=MISSING_PODS)
    for group in by_workload(pods):
        if (finding := lacking(expectation, group)) is not None:
            findings.report(finding)
    containers = sum(1 for pod in pods for _ in judged(expectation, pod))
    findings.measure("containers", containers, subject=expectation.selected)
    if pods and not containers:
        raise CouldNotObserve(queries[0], nothing_judged())


def lacking(expectation: ResourcesSet, group: PodGroup) -> Finding | None:
    """The finding for missing settings of a workload's containers; None without any."""
    unset: dict[str, set[str]] = {}
    at: list[tuple[Pod, Reported]] = []
    for pod in group.pods:
        for container in judged(expectation, pod):
            if missing := set(_missing(expectation, pod, container)):
                unset.setdefault(container.called, set()).update(missing)
                at.append((pod, container))
    if not at:
        return None
    pod, container = at[0]
    seen = [f"{who} has no {', '.join(sorted(what, key=expectation.require.index))}" for who, what in unset.items()]
    return expectation.finding(
        subject=expectation.subject(group.pods[0], group.owner),
        observed="; ".join(sorted(seen)),
        expected=f"every container sets {', '.join(expectation.require)}",
        evidence=[group.named(pod for pod, _ in at)],
        remedies=[SET_IN_CLUSTER if group.rolled_out else SET_IN_SPEC],
        facts=pod.facts | {"container": container.name},
    )


def judged(expectation: ResourcesSet, pod: Pod) -> Iterator[Reported]:
    """The containers of `pod` that must set resources."""
    for container in judged_containers(pod, expectation.ignore_containers):
        if expectation.init_containers or not container.init:
            yield container


def _missing(expectation: ResourcesSet, pod: Pod, container: Reported) -> Iterator[str]:
    # After a resize in place the status has the values in force; before it only the spec has the requested ones.
    places = (pod.spec and pod.spec.resources, container.spec.resources, container.status.resources)
    for setting in expectation.require:
        if not any(_sets(resources, setting) for resources in places):
            yield setting


def _sets(resources: Resources | None, setting: str) -> bool:
    what, _, resource = setting.partition(".")
    quantities: Quantities | None = resources and (resources.requests if what == "requests" else resources.limits)
    text = (quantities or {}).get(resource)
    if not text:
        return False
    try:
        return bool(parse_quantity(text))
    except ValueError:
        return True  # it is set, even if invalid
