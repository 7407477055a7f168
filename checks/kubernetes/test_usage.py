"""The CPU and memory of a cluster."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction

from opscheck import Findings, Observe, Remedy
from opscheck.core.observation import CouldNotObserve, Problem
from opscheck.core.units import format_duration
from opscheck.core.words import some_with_reasons
from opscheck.systems.kubernetes.containers import Reported, containers
from opscheck.systems.kubernetes.label_selectors import parse_selector
from opscheck.systems.kubernetes.nodes import Node
from opscheck.systems.kubernetes.owners import top_owner
from opscheck.systems.kubernetes.pod_status import phase
from opscheck.systems.kubernetes.pods import ListPods, Pod
from opscheck.systems.kubernetes.quantities import doubled, parse_quantity
from opscheck.systems.kubernetes.selection import listed
from opscheck.systems.kubernetes.usage import (
    NEAR_LIMIT,
    NEAR_MEMORY_LIMIT,
    NODE_FULL,
    ListPodUsage,
    NodeUsage,
    PodUsage,
    UsageWithinLimits,
)
from opscheck.systems.kubernetes.words import cannot_tell

YOUNG = timedelta(minutes=2)
"""metrics-server samples every 15 to 60 seconds and needs two samples; until then no metrics are normal."""

STALE = timedelta(minutes=10)


@dataclass(frozen=True)
class Share:
    """How much of one resource a node or pod uses."""

    subject: str
    resource: str
    percent: float
    detail: str
    """The two numbers, and the container where it is one."""
    remedy: Remedy
    facts: Mapping[str, str]


@dataclass
class Usage:
    """The shares of nodes or pods, and those for which there is none."""

    shares: list[Share] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    """Node or pod, and why its usage is not known though it should be."""
    passed_over: dict[str, str] = field(default_factory=dict)
    """Node or pod, and why it has no usage to judge."""
    unlimited: dict[str, list[str]] = field(default_factory=dict)
    """Resource, and the pods without a limit for it."""

    def fullest(self, resource: str) -> list[Share]:
        """The shares of one resource, largest first."""
        shares = [share for share in self.shares if share.resource == resource]
        return sorted(shares, key=lambda share: (-share.percent, share.subject))


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
        pods = listed(observe, expectation.lists(ListPods))
        usage = pod_usage(expectation, pods, listed(observe, expectation.lists(ListPodUsage)), observe.now)
    grade_usage(expectation, usage, findings)
    if (problem := unjudged(expectation, usage)) is not None:
        raise CouldNotObserve(next(iter(expectation.queries())), problem)


def grade_usage(expectation: UsageWithinLimits, usage: Usage, findings: Findings) -> None:
    """Compare each node with the limits; of the pods the fullest one, and all that break them."""
    for resource in resources(expectation):
        limit = getattr(expectation, resource)
        for place, share in enumerate(usage.fullest(resource)):
            if expectation.of == "nodes" or place == 0 or limit.severity(share.percent):
                findings.grade(
                    resource,
                    share.percent,
                    limit,
                    unit="%",
                    subject=share.subject,
                    detail=share.detail,
                    remedies=(share.remedy,),
                    facts=share.facts,
                )
        if without := usage.unlimited.get(resource):
            findings.measure(f"pods without a {resource} limit", len(without))
    if usage.passed_over:
        findings.measure(f"{expectation.of} not measured yet", len(usage.passed_over))


def resources(expectation: UsageWithinLimits) -> list[str]:
    """The resources that the expectation limits."""
    return [name for name in ("cpu", "memory") if getattr(expectation, name) is not None]


def node_usage(
    expectation: UsageWithinLimits, nodes: Iterable[Node], measured: Iterable[NodeUsage], now: datetime
) -> Usage:
    """Usage against what each node can give to pods."""
    usage, selector = Usage(), parse_selector(expectation.selector)
    by_name = {found.name: found for found in measured}
    for node in sorted(nodes, key=lambda node: node.name):
        if not selector.matches(node.labels):
            continue
        found = by_name.get(node.name)
        reason = _not_measured(found and found.timestamp, now)
        if found is None or reason:
            # What is wrong with a node that is not ready is not its usage.
            excuse = _young(node.created, now) or ("" if node.is_ready else "not ready")
            _record_missing(usage, node.name, excuse, reason)
            continue
        for resource in resources(expectation):
            allocatable = ((node.status and node.status.allocatable) or {}).get(resource)
            share = _share(resource, [(found.usage or {}).get(resource)], allocatable)
            if isinstance(share, str):
                usage.missing[node.name] = share
            else:
                usage.shares.append(Share(node.name, resource, *share, NODE_FULL, {"node": node.name}))
    return usage


def pod_usage(
    expectation: UsageWithinLimits, pods: Iterable[Pod], measured: Iterable[PodUsage], now: datetime
) -> Usage:
    """Usage of each pod, and of each of its containers, against the limits."""
    usage, selector = Usage(), parse_selector(expectation.selector)
    by_name = {(found.namespace, found.name): found for found in measured}
    for pod in sorted(pods, key=lambda pod: (pod.namespace, pod.name)):
        if not selector.matches(pod.labels):
            continue
        found = by_name.get((pod.namespace, pod.name))
        name = expectation.subject(pod)
        excuse = _not_running(pod)
        reason = _not_measured(found and found.timestamp, now)
        if excuse or found is None or reason:
            _record_missing(usage, name, excuse or _young(_running_since(pod), now), reason)
            continue
        for resource in resources(expectation):
            _judge_pod(usage, name, pod, found, resource)
    return usage


def _not_running(pod: Pod) -> str:
    if phase(pod) != "Running" or pod.is_terminating:
        return "terminating" if pod.is_terminating else phase(pod)
    # metrics-server leaves a pod out when one of its containers does not run.
    idle = [one for one in containers(pod) if not (one.init or one.state.running)]
    return f"container {idle[0].name} does not run" if idle else ""


def _judge_pod(usage: Usage, name: str, pod: Pod, found: PodUsage, resource: str) -> None:
    shares = list(_pod_shares(name, pod, found, resource))
    judged = [share for share in shares if isinstance(share, Share)]
    faults = [share for share in shares if isinstance(share, str)]
    if faults:
        usage.missing[name] = faults[0]
    elif judged:
        usage.shares.append(max(judged, key=lambda share: share.percent))
    else:
        usage.unlimited.setdefault(resource, []).append(name)


def _pod_shares(name: str, pod: Pod, found: PodUsage, resource: str) -> Iterator[Share | str]:
    """
    Each container that has a limit, and the pod as a whole where the pod has one.

    Limits are enforced container by container. The sum over a pod would hide a full one beside an idle one.
    """
    used = {one.name: (one.usage or {}).get(resource) for one in found.containers or ()}
    if not used:
        yield "its metrics name no container"
    for container in containers(pod):
        limit = _or_none(container.limit(resource))
        if limit is not None and container.name in used:
            share = _share(resource, [used[container.name]], limit)
            yield share if isinstance(share, str) else _of_container(name, pod, container, resource, share)
    whole = _or_none(((pod.spec and pod.spec.resources and pod.spec.resources.limits) or {}).get(resource))
    if whole is not None:
        share = _share(resource, list(used.values()), whole)
        yield share if isinstance(share, str) else Share(name, resource, *share, NEAR_LIMIT, _pod_facts(pod))


def _or_none(limit: str | None) -> str | None:
    # A limit of 0 is none: the cgroup gets no quota.
    try:
        return limit if limit is not None and parse_quantity(limit) else None
    except ValueError:
        return limit  # reported by _share


def _of_container(name: str, pod: Pod, container: Reported, resource: str, share: tuple[float, str]) -> Share:
    percent, detail = share
    facts = _pod_facts(pod) | {"container": container.name}
    limit, remedy = container.memory_limit, NEAR_LIMIT
    if resource == "memory" and limit and "owner" in facts and (more := doubled(limit)):
        facts, remedy = facts | {"doubled_memory": more}, NEAR_MEMORY_LIMIT
    return Share(name, resource, percent, f"{detail}, container {container.name}", remedy, facts)


def _pod_facts(pod: Pod) -> dict[str, str]:
    known = {"namespace": pod.namespace, "pod": pod.name, "owner": top_owner(pod), "node": pod.node}
    return {name: value for name, value in known.items() if value}


def _share(resource: str, used: list[str | None], limit: str | None) -> tuple[float, str] | str:
    """The percentage and its two numbers, or why there is none. Several usages are added."""
    try:
        in_use, has = _total(used), _total([limit])
    except ValueError as error:
        return str(error)
    if in_use is None or has is None:
        return f"no {resource} {'usage' if in_use is None else 'limit'} is reported"
    if has <= 0:
        return f"it has no {resource} at all"
    return float(in_use / has * 100), f"{_readable(in_use, resource)} of {_readable(has, resource)}"


def _total(amounts: list[str | None]) -> Fraction | None:
    if not amounts or None in amounts:
        return None
    return sum((parse_quantity(one) for one in amounts if one is not None), Fraction(0))


def _readable(amount: Fraction, resource: str) -> str:
    return f"{float(amount):.3g} cores" if resource == "cpu" else f"{float(amount / 2**20):.0f}Mi"


def _not_measured(at: datetime | None, now: datetime) -> str:
    if at is None:
        return "it has no metrics"
    return f"its metrics are {format_duration((now - at).total_seconds())} old" if now - at > STALE else ""


def _young(since: datetime | None, now: datetime) -> str:
    return "started just now" if since is not None and now - since < YOUNG else ""


def _running_since(pod: Pod) -> datetime | None:
    # metrics-server leaves a pod out as long as one of its containers has just been restarted.
    starts = [container.state.running for container in containers(pod)]
    return max((start.started_at for start in starts if start and start.started_at), default=None) or (
        pod.status and pod.status.start_time
    )


def _record_missing(usage: Usage, name: str, excuse: str, reason: str) -> None:
    if excuse:
        usage.passed_over[name] = excuse
    else:
        usage.missing[name] = reason


def unjudged(expectation: UsageWithinLimits, usage: Usage) -> Problem | None:
    """Why this cannot be called kept, where something that should be judged was not."""
    if usage.missing:
        return cannot_tell(f"no usage of {some_with_reasons(usage.missing)}", "see the log of metrics-server")
    for resource in resources(expectation):
        if usage.fullest(resource):
            continue
        if usage.unlimited.get(resource):
            advice = f"set {resource} limits on its containers, or leave `{resource}` out of the expectation"
            return cannot_tell(f"none of the selected pods has a {resource} limit", advice)
        if usage.passed_over:
            return cannot_tell(
                f"there was nothing to measure: {some_with_reasons(usage.passed_over)}", "look again in two minutes"
            )
        what = expectation.selected if expectation.of == "pods" else expectation.selector or "any name"
        return cannot_tell(f"there are no {expectation.of} that match {what}", "correct the selector or the namespace")
    return None
