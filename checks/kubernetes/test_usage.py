"""The CPU and memory of a cluster."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from fractions import Fraction

from opscheck import Findings, Observe
from opscheck.core.findings import FindingParts
from opscheck.core.observation import CouldNotObserve, Problem
from opscheck.core.units import format_duration
from opscheck.core.words import some_with_reasons
from opscheck.systems.kubernetes.containers import Reported, containers
from opscheck.systems.kubernetes.label_selectors import parse_selector
from opscheck.systems.kubernetes.nodes import ListNodes, Node
from opscheck.systems.kubernetes.pods import ListPods, Pod
from opscheck.systems.kubernetes.quantities import doubled, parse_quantity
from opscheck.systems.kubernetes.selection import listed
from opscheck.systems.kubernetes.shares import Share, Shares
from opscheck.systems.kubernetes.usage import (
    NEAR_LIMIT,
    NEAR_MEMORY_LIMIT,
    NODE_FULL,
    ListNodeUsage,
    ListPodUsage,
    NodeUsage,
    PodUsage,
    UsageWithinLimits,
)
from opscheck.systems.kubernetes.words import cannot_tell, latest

YOUNG = timedelta(minutes=2)
"""metrics-server samples every 15 to 60 seconds and needs two samples; until then no metrics are normal."""
STALE = timedelta(minutes=10)


def test_there_is_room(expectation: UsageWithinLimits, observe: Observe, findings: Findings) -> None:
    """
    Nodes have free CPU and memory, and containers stay below their limits.

    A container at its memory limit is killed; one at its CPU limit is throttled. On a node without memory the kubelet
    evicts pods, the heaviest first.
    """
    usage = Usage(expectation, observe.now)
    if expectation.of == "nodes":
        cluster = expectation.target.name
        usage.judge_nodes(observe(ListNodes(cluster)).items, observe(ListNodeUsage(cluster)).items)
    else:
        pods = listed(observe, expectation.lists(ListPods))
        usage.judge_pods(pods, listed(observe, expectation.lists(ListPodUsage)))
    for resource in usage.resources:
        if expectation.of == "nodes":
            for share in usage.of(resource):
                share.grade(findings, expectation, resource)
        else:
            usage.grade(findings, expectation, resource, resource)
        if without := usage.unlimited[resource]:
            findings.measure(f"pods without a {resource} limit", without)
    if usage.not_yet:
        findings.measure(f"{expectation.of} not measured yet", len(usage.not_yet))
    if (problem := usage.unjudged()) is not None:
        raise CouldNotObserve(next(iter(expectation.queries())), problem)


class Usage(Shares):
    """The usage of the selected nodes or pods."""

    def __init__(self, expectation: UsageWithinLimits, now: datetime) -> None:
        super().__init__()
        self._expectation = expectation
        self._selector = parse_selector(expectation.selector)
        self._now = now
        self.resources = [name for name in ("cpu", "memory") if getattr(expectation, name) is not None]
        self.unlimited = Counter[str]()
        """Resource, and the number of pods without a limit for it."""

    def judge_nodes(self, nodes: Iterable[Node], measured: Iterable[NodeUsage]) -> None:
        """Compare the usage of each node with its allocatable resources."""
        by_name = {found.name: found for found in measured}
        for node in sorted(nodes, key=lambda node: node.name):
            if not self._selector.matches(node.labels):
                continue
            found = by_name.get(node.name)
            reason = self._not_measured(found)
            if found is None or reason:
                # A node that is not ready is judged by its conditions, not by its usage.
                excuse = self._young(node.created) or ("" if node.is_ready else "not ready")
                self._record_missing(node.name, excuse, reason)
                continue
            for resource in self.resources:
                allocatable = ((node.status and node.status.allocatable) or {}).get(resource)
                parts: FindingParts = {"remedies": [NODE_FULL], "facts": {"node": node.name}}
                try:
                    percent, detail = _share(resource, [(found.usage or {}).get(resource)], allocatable)
                except ValueError as error:
                    self.missing[node.name] = str(error)
                else:
                    self.found.append(Share(resource, node.name, percent, detail, parts))

    def judge_pods(self, pods: Iterable[Pod], measured: Iterable[PodUsage]) -> None:
        """Compare the usage of each pod, and of each of its containers, with the limits."""
        by_name = {(found.namespace, found.name): found for found in measured}
        for pod in sorted(pods, key=lambda pod: (pod.namespace, pod.name)):
            if not self._selector.matches(pod.labels):
                continue
            found = by_name.get((pod.namespace, pod.name))
            excuse, reason = _not_running(pod), self._not_measured(found)
            if excuse or found is None or reason:
                name = self._expectation.subject(pod)
                self._record_missing(name, excuse or self._young(_running_since(pod)), reason)
                continue
            for resource in self.resources:
                self._judge_pod(pod, found, resource)

    def _judge_pod(self, pod: Pod, found: PodUsage, resource: str) -> None:
        name = self._expectation.subject(pod)
        try:
            fullest = max(_pod_shares(name, pod, found, resource), key=lambda share: share.percent, default=None)
        except ValueError as error:
            self.missing[name] = str(error)
            return
        if fullest is None:
            self.unlimited[resource] += 1
        else:
            self.found.append(fullest)

    def _not_measured(self, found: NodeUsage | PodUsage | None) -> str:
        if found is None or found.timestamp is None:
            return "no metrics"
        age = self._now - found.timestamp
        return f"metrics are {format_duration(age.total_seconds())} old" if age > STALE else ""

    def _young(self, since: datetime | None) -> str:
        return "started just now" if since is not None and self._now - since < YOUNG else ""

    def _record_missing(self, name: str, excuse: str, reason: str) -> None:
        (self.not_yet if excuse else self.missing)[name] = excuse or reason

    def unjudged(self) -> Problem | None:
        """The problem of missing usage, which may hide a violation; None without one."""
        if self.missing:
            text = f"metrics-server reports no usage of {some_with_reasons(self.missing)}"
            return cannot_tell(text, "see the log of metrics-server")
        of, selector = self._expectation.of, self._expectation.selector
        for resource in self.resources:
            if self.of(resource):
                continue
            if self.unlimited[resource]:
                advice = f"set {resource} limits on its containers, or leave `{resource}` out of the expectation"
                return cannot_tell(f"no selected pod has a {resource} limit", advice)
            if self.not_yet:
                text = f"no usage yet: {some_with_reasons(self.not_yet)}"
                return cannot_tell(text, "run it again in two minutes")
            what = self._expectation.selected if of == "pods" else selector or "any name"
            return cannot_tell(f"no {of} match {what}", "correct the selector or the namespace")
        return None


def _not_running(pod: Pod) -> str:
    if pod.phase != "Running" or pod.is_terminating:
        return "terminating" if pod.is_terminating else pod.phase
    # metrics-server leaves a pod out when one of its containers does not run.
    idle = [one for one in containers(pod) if not (one.init or one.state.running)]
    return f"container {idle[0].name} does not run" if idle else ""


def _running_since(pod: Pod) -> datetime | None:
    # metrics-server leaves a pod out shortly after a restart of one of its containers.
    starts = [container.state.running for container in containers(pod)]
    return latest(*(start.started_at for start in starts if start)) or (pod.status and pod.status.start_time)


def _pod_shares(name: str, pod: Pod, found: PodUsage, resource: str) -> Iterator[Share]:
    """
    The share of each container with a limit, and of the pod as a whole if it has one. Raises ValueError.

    Limits are enforced container by container: the sum over a pod would hide a full one next to an idle one.
    """
    used = {one.name: (one.usage or {}).get(resource) for one in found.containers or ()}
    if not used:
        raise ValueError("metrics name no container")
    for container in containers(pod):
        limit = _or_none(container.limit(resource))
        if limit is not None and container.name in used:
            share = _share(resource, [used[container.name]], limit)
            yield _of_container(name, pod, container, resource, share)
    whole = _or_none(((pod.spec and pod.spec.resources and pod.spec.resources.limits) or {}).get(resource))
    if whole is not None:
        parts: FindingParts = {"remedies": [NEAR_LIMIT], "facts": pod.facts}
        yield Share(resource, name, *_share(resource, list(used.values()), whole), parts)


def _or_none(limit: str | None) -> str | None:
    # A limit of 0 means no limit: the cgroup gets no quota.
    try:
        return limit if limit is not None and parse_quantity(limit) else None
    except ValueError:
        return limit  # reported by _share


def _of_container(name: str, pod: Pod, container: Reported, resource: str, share: tuple[float, str]) -> Share:
    percent, detail = share
    facts = pod.facts | {"container": container.name}
    limit, remedy = container.limit("memory"), NEAR_LIMIT
    if resource == "memory" and limit and "owner" in facts and (more := doubled(limit)):
        facts, remedy = facts | {"doubled_memory": more}, NEAR_MEMORY_LIMIT
    parts: FindingParts = {"remedies": [remedy], "facts": facts}
    return Share(resource, name, percent, f"{detail}, container {container.name}", parts)


def _share(resource: str, used: list[str | None], limit: str | None) -> tuple[float, str]:
    """The percentage and its two numbers; several usages are added. Raises ValueError."""
    in_use = None if not used or None in used else sum((parse_quantity(one or "") for one in used), Fraction(0))
    has = None if limit is None else parse_quantity(limit)
    if in_use is None or has is None:
        raise ValueError(f"no {resource} {'usage' if in_use is None else 'limit'} reported")
    if has <= 0:
        raise ValueError(f"no allocatable {resource}")
    return float(in_use / has * 100), f"{_readable(in_use, resource)} of {_readable(has, resource)}"


def _readable(amount: Fraction, resource: str) -> str:
    return f"{float(amount):.3g} cores" if resource == "cpu" else f"{float(amount / 2**20):.0f}Mi"
