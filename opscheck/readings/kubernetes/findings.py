"""Findings about pods: one for each, or one for many that suffer from the same, and what commands may name of them."""

from collections.abc import Iterator
from datetime import datetime

from opscheck.expectations.kubernetes.pods import PodsHealthy, RestartLimit
from opscheck.queries.kubernetes.owners import is_of_job, top_owner
from opscheck.queries.kubernetes.pods import Pod
from opscheck.readings.kubernetes.containers import Restarts, containers, described_end, has_restarted, restarts_within
from opscheck.readings.kubernetes.pods import Kind, Trouble, as_one, is_terminating, phase, trouble_of
from opscheck.readings.kubernetes.selection import Selection
from opscheck.readings.quantities import doubled
from opscheck.targets import KubernetesTarget
from opscheck.units import format_duration

MOST_ALIKE = 5
"""More pods than this of one owner with the same trouble are one finding: one rollout went wrong, not fifty pods."""

ROLLED_OUT = ("deployment/", "statefulset/", "daemonset/")
"""Owners that `kubectl rollout` knows."""


def troubles(expectation: PodsHealthy, selection: Selection, now: datetime) -> tuple[Trouble, ...]:
    """Everything that is wrong with the selected pods, in the order of their names."""
    found: dict[tuple[object, ...], list[Trouble]] = {}
    for pod in selection.matched:
        trouble = trouble_of(pod, now, expectation.grace) or _restarts_too_often(pod, expectation.restarts, now)
        if trouble is not None:
            found.setdefault(_alike(trouble), []).append(trouble)
    return tuple(told for group in found.values() for told in _told(tuple(group)))


def _alike(trouble: Trouble) -> tuple[object, ...]:
    owner = top_owner(trouble.pod)
    return (
        trouble.pod.namespace,
        owner or trouble.pod.name,
        trouble.kind,
        trouble.container and trouble.container.name,
    )


def _told(group: tuple[Trouble, ...]) -> tuple[Trouble, ...]:
    return (as_one(group),) if len(group) > MOST_ALIKE else group


def _restarts_too_often(pod: Pod, limit: RestartLimit | None, now: datetime) -> Trouble | None:
    if limit is None:
        return None
    restarts = pod_restarts(pod, limit.within, now)
    if restarts.at_most <= limit.at_most:
        return None
    worst = max(containers(pod), key=lambda container: restarts_within(container, pod, now, limit.within).at_most)
    window = format_duration(limit.within)
    exact = restarts.at_least == restarts.at_most
    count = f"{restarts.at_most}" if exact else f"{restarts.at_least} to {restarts.at_most}"
    ended = worst.last_end
    return Trouble(
        Kind.RESTARTS,
        pod,
        f"{count} restarts in {window}: container {worst.name}, {described_end(worst, now)}",
        f"at most {limit.at_most} restarts in {window}",
        ended and ended.finished_at,
        worst,
        () if exact else ("Kubernetes counts restarts since the pod was made and keeps the time of the last one only",),
    )


def pod_restarts(pod: Pod, within: float, now: datetime) -> Restarts:
    """The restarts of all containers together, as `kubectl get pods` shows them, inside the window."""
    if not has_restarted(pod) or is_terminating(pod) or phase(pod) == "Succeeded" or is_of_job(pod):
        return Restarts(0, 0)
    each = [restarts_within(container, pod, now, within) for container in containers(pod)]
    return Restarts(sum(one.at_least for one in each), sum(one.at_most for one in each))


def most_restarts(selection: Selection, within: float, now: datetime) -> tuple[str, int]:
    """The pod with the most restarts in the window, and how many these may be."""
    counts = [(pod_restarts(pod, within, now).at_most, pod.name) for pod in selection.matched]
    count, name = max(counts, default=(0, ""))
    return (name if count else "", count)


def subject(expectation: PodsHealthy, trouble: Trouble) -> str:
    """The pod, or the owner of many; with its namespace where every one is looked at."""
    name = top_owner(trouble.pod) if trouble.pods > 1 else trouble.pod.name
    return name if expectation.only_namespace else f"{trouble.pod.namespace}/{name}"


def observed(trouble: Trouble) -> str:
    """What was seen, with the owner that a person would change."""
    owner = top_owner(trouble.pod)
    return f"{trouble.observed}; {owner}" if owner else trouble.observed


def place_facts(target: KubernetesTarget, namespace: str | None) -> dict[str, str]:
    """Where commands go. Those for a context that the policy pins, and those without, tell themselves apart by it."""
    name = namespace or target.namespace
    if target.context:
        return {"namespace": name, "context": target.context}
    return {"namespace": name, "current_namespace": name}


def pod_facts(target: KubernetesTarget, pod: Pod) -> dict[str, str]:
    """What every command about a pod may name."""
    known = {"pod": pod.name, "owner": top_owner(pod), "node": (pod.spec and pod.spec.node_name) or ""}
    return place_facts(target, pod.namespace) | {name: value for name, value in known.items() if value}


def facts(target: KubernetesTarget, trouble: Trouble) -> dict[str, str]:
    """What commands may name of this finding; by what is missing, the wrong ones leave themselves out."""
    container = {"container": trouble.container.name} if trouble.container else {}
    return pod_facts(target, trouble.pod) | container | dict(_remedies(trouble))


def _remedies(trouble: Trouble) -> Iterator[tuple[str, str]]:
    pod, owner = trouble.pod.name, top_owner(trouble.pod)
    rolled_out = owner.startswith(ROLLED_OUT)
    match trouble.kind:
        case Kind.CRASH | Kind.RESTARTS:
            yield "crashed", pod
        case Kind.UNSCHEDULED:
            yield "unscheduled", pod
        case Kind.UNREADY:
            yield "unready", pod
        case Kind.NODE_LOST if trouble.pod.spec and trouble.pod.spec.node_name:
            yield "lost_node", trouble.pod.spec.node_name
        case Kind.STUCK:
            yield "stuck", pod
        case Kind.TOMBSTONE:
            yield "tombstone", pod
    if rolled_out and trouble.kind in {Kind.CRASH, Kind.CANNOT_START}:
        yield "failed_rollout", owner
    if rolled_out and trouble.kind is Kind.UNREADY:
        yield "unready_rollout", owner
    limit = trouble.container.memory_limit if trouble.container else None
    if rolled_out and trouble.out_of_memory and limit and (more := doubled(limit)):
        yield from (("out_of_memory", owner), ("doubled_memory", more))


def too_few_facts(expectation: PodsHealthy) -> dict[str, str]:
    """What commands may name when pods are missing."""
    if expectation.only_namespace is None:
        return {}
    missing = expectation.selector or expectation.name or "any pod"
    return place_facts(expectation.target, expectation.only_namespace) | {"missing": missing}
