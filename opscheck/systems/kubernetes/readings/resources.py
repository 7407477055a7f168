"""Which containers do not say what they need, and what they may use."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from opscheck.systems.kubernetes.containers import Reported
from opscheck.systems.kubernetes.objects import Quantities
from opscheck.systems.kubernetes.owners import ROLLED_OUT, controller
from opscheck.systems.kubernetes.pod_groups import PodGroup, called, judged_containers, named
from opscheck.systems.kubernetes.pods import Pod, Resources
from opscheck.systems.kubernetes.quantities import parse_quantity
from opscheck.systems.kubernetes.resources import ResourcesSet


@dataclass(frozen=True)
class Trouble:
    """What the containers of one workload do not set."""

    group: PodGroup
    observed: str
    evidence: tuple[str, ...]
    facts: Mapping[str, str]


def without_static(pods: Iterable[Pod]) -> tuple[Pod, ...]:
    """The pods without those that a node runs from a file of its own, which no API can change."""
    return tuple(pod for pod in pods if (owner := controller(pod)) is None or owner.kind != "Node")


def trouble_of(expectation: ResourcesSet, group: PodGroup) -> Trouble | None:
    """What the containers of a workload lack, None where they set everything."""
    lacking: dict[str, set[str]] = {}
    pods: list[Pod] = []
    first = ""
    for pod in group.pods:
        for container in judged(expectation, pod):
            missing = set(_missing(expectation, pod, container))
            if missing:
                lacking.setdefault(called(container), set()).update(missing)
                pods.append(pod)
                first = first or container.name
    if not lacking:
        return None
    told = [f"{who} has no {', '.join(sorted(what, key=expectation.require.index))}" for who, what in lacking.items()]
    return Trouble(group, "; ".join(sorted(told)), (named(pods, len(group.pods)),), _facts(group, pods[0], first))


def judged(expectation: ResourcesSet, pod: Pod) -> Iterator[Reported]:
    """The containers of `pod` that must set resources."""
    for container in judged_containers(pod, expectation.ignore_containers):
        if expectation.init_containers or not container.init:
            yield container


def _missing(expectation: ResourcesSet, pod: Pod, container: Reported) -> Iterator[str]:
    # After a resize in place the status knows what is in force, and before it only the spec knows what is asked.
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
        return True  # it is set, whatever it says


def _facts(group: PodGroup, pod: Pod, container: str) -> dict[str, str]:
    known = {"pod": pod.name, "measured": pod.name, "owner": group.owner, "container": container}
    if group.owner.startswith(ROLLED_OUT):
        known["unset"] = group.owner
    return {name: value for name, value in known.items() if value}
