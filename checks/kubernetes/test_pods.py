"""The pods of a cluster."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from opscheck import Findings, Observe
from opscheck.core.units import format_duration
from opscheck.core.words import counted, some_lines
from opscheck.systems.kubernetes.containers import (
    Restarts,
    containers,
    described,
    described_end,
    has_restarted,
    restarts_within,
)
from opscheck.systems.kubernetes.label_selectors import parse_selector
from opscheck.systems.kubernetes.owners import ROLLED_OUT, controller, is_of_job, owner_reference, reference, top_owner
from opscheck.systems.kubernetes.pod_status import Kind, Trouble, is_ready, phase, pod_facts, trouble_of
from opscheck.systems.kubernetes.pods import ListPods, Pod, PodsHealthy, RestartLimit
from opscheck.systems.kubernetes.quantities import doubled
from opscheck.systems.kubernetes.remedies import too_few_facts
from opscheck.systems.kubernetes.selection import _LOOKS_THE_SAME, _most_frequent, labels_there, listed, matching
from opscheck.systems.kubernetes.target import KubernetesTarget
from opscheck.systems.kubernetes.volumes import mounts_of
from opscheck.systems.kubernetes.warnings import Warnings

_EACH = 10
"""So many pods that are told as one are named."""
_MADE_BY_THE_NODE = {"CreateContainerError", "RunContainerError"}


def test_the_pods_are_well(expectation: PodsHealthy, observe: Observe, findings: Findings) -> None:
    """
    Every selected pod runs and is ready, or is complete by design, and there are enough of them.

    A pod that crashes, cannot start or is not ready serves nobody, and its work falls on the others; when the last
    one goes, so does the application.
    """
    selection = select_pods(expectation, listed(observe, expectation.ask(ListPods)))
    warnings, target = Warnings(expectation, observe), expectation.target
    count_pods(expectation, selection, findings)
    for trouble in troubles(expectation, selection, observe.now):
        findings.add(
            subject=subject(expectation, trouble),
            observed=observed(trouble),
            expected=trouble.expected,
            since=trouble.since,
            evidence=(*trouble.evidence, *warnings.about("Pod", trouble.pod)),
            facts=facts(target, trouble),
            about=about(target, trouble),
            because=because(target, trouble),
        )
    measure_ends(expectation, selection, observe, findings)


@dataclass(frozen=True)
class Selection:
    """The pods of a namespace, seen by one expectation."""

    there: tuple[Pod, ...]
    """All that were listed."""
    matched: tuple[Pod, ...]
    """Those that the selector and the name mean, in the order of their names."""
    counted: tuple[Pod, ...]
    """Those of them that count as matches."""

    @property
    def ready(self) -> int:
        """How many of those that count are ready."""
        return sum(is_ready(pod) for pod in self.counted)


def select_pods(expectation: PodsHealthy, pods: Iterable[Pod]) -> Selection:
    """What `expectation` means of `pods`."""
    there = tuple(pods)
    matched = matching(expectation, there)
    counted = tuple(pod for pod in matched if not _left_out(pod, count_completed=expectation.count_completed))
    return Selection(there, matched, counted)


def _left_out(pod: Pod, *, count_completed: bool) -> str:
    """Why a pod does not count as a match; empty when it does."""
    if pod.is_terminating:
        return "terminating"
    if phase(pod) == "Failed":
        return "failed"
    if not count_completed and phase(pod) == "Succeeded":
        return "completed"
    # A job's pod ends some day; it must not stand for one that should always run.
    return "of a job" if not count_completed and is_of_job(pod) else ""


def seen_instead(expectation: PodsHealthy, selection: Selection) -> Iterator[str]:
    """What there is, for the person who wonders why too few pods match."""
    left_out = Counter(_left_out(pod, count_completed=expectation.count_completed) for pod in selection.matched)
    del left_out[""]
    if left_out:
        yield f"do not count: {', '.join(f'{count} {why}' for why, count in sorted(left_out.items()))}"
    where = expectation.where
    if not selection.there:
        yield f"{where} has no pod at all; {_LOOKS_THE_SAME}"
        return
    yield f"{where} has {counted(len(selection.there), 'pod')}"
    yield from labels_there(parse_selector(expectation.selector).keys, selection.there)
    if expectation.name is not None:
        yield f"names there: {_most_frequent(pod.name for pod in selection.there)}"


def troubles(expectation: PodsHealthy, selection: Selection, now: datetime) -> tuple[Trouble, ...]:
    """
    Everything that is wrong with the selected pods, in the order of their names.

    From the second pod of an owner with the same trouble on, it is one: a rollout went wrong, and not fifty pods.
    """
    found: dict[tuple[object, ...], list[Trouble]] = {}
    for pod in selection.matched:
        trouble = (
            trouble_of(pod, now, expectation.grace)
            or _ran_out_of_memory(pod, expectation.no_oom_kill_within, now)
            or _restarts_too_often(pod, expectation.restarts, now)
        )
        if trouble is not None:
            found.setdefault(_alike(trouble), []).append(trouble)
    return tuple(as_one(tuple(group)) if len(group) > 1 else group[0] for group in found.values())


def _alike(trouble: Trouble) -> tuple[object, ...]:
    if trouble.kind is Kind.NODE_LOST and trouble.node:
        return trouble.kind, trouble.node
    return (
        trouble.kind,
        trouble.pod.namespace,
        top_owner(trouble.pod) or trouble.pod.name,
        trouble.container and trouble.container.name,
        trouble.out_of_memory,
    )


def _ran_out_of_memory(pod: Pod, within: float | None, now: datetime) -> Trouble | None:
    if within is None or pod.is_terminating or phase(pod) == "Succeeded":
        return None
    window = format_duration(within)
    for container in containers(pod):
        ended = container.out_of_memory
        if ended is not None and (ended.finished_at is None or (now - ended.finished_at).total_seconds() <= within):
            return Trouble(
                Kind.OUT_OF_MEMORY,
                pod,
                f"container {container.name} ran out of memory: {described(ended, container, now)}",
                f"no container out of memory in {window}",
                ended.finished_at,
                container,
            )
    return None


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
    if not has_restarted(pod) or pod.is_terminating or phase(pod) == "Succeeded" or is_of_job(pod):
        return Restarts(0, 0)
    each = [restarts_within(container, pod, now, within) for container in containers(pod)]
    return Restarts(sum(one.at_least for one in each), sum(one.at_most for one in each))


def most_restarts(selection: Selection, within: float, now: datetime) -> tuple[str, int]:
    """The pod with the most restarts in the window, and how many these may be."""
    counts = [(pod_restarts(pod, within, now).at_most, pod.name) for pod in selection.matched]
    count, name = max(counts, default=(0, ""))
    return (name if count else "", count)


def subject(expectation: PodsHealthy, trouble: Trouble) -> str:
    """The pod, or what several have in common: their owner, or the node they were lost with."""
    if trouble.alike and trouble.kind is Kind.NODE_LOST and trouble.node:
        return f"node/{trouble.node}"
    return expectation.subject(trouble.pod, top_owner(trouble.pod) if trouble.alike else "")


def observed(trouble: Trouble) -> str:
    """What was seen, with the owner that a person would change, where that is not the subject."""
    owner = top_owner(trouble.pod)
    return f"{trouble.observed}; {owner}" if owner and not trouble.alike else trouble.observed


def about(target: KubernetesTarget, trouble: Trouble) -> str:
    """The reference of what it is about, as `subject` names it."""
    if not trouble.alike:
        return reference(target, "pod", trouble.pod.name, trouble.pod.namespace)
    if trouble.kind is Kind.NODE_LOST and trouble.node:
        return reference(target, "node", trouble.node)
    return owner_reference(target, trouble.pod)


def because(target: KubernetesTarget, trouble: Trouble) -> tuple[str, ...]:
    """
    References of what would explain it: the node, the claims it waits for, what made it.

    Of several pods only what explains each of them, for a node that is down must not hide what fails elsewhere.
    """
    each = [tuple(_causes(target, one)) for one in trouble.alike or (trouble,)]
    return tuple(cause for cause in each[0] if all(cause in others for others in each))


def _causes(target: KubernetesTarget, trouble: Trouble) -> Iterator[str]:
    pod = trouble.pod
    if trouble.node and _may_be_the_nodes_fault(trouble):
        yield reference(target, "node", trouble.node)
    if trouble.kind is Kind.UNSCHEDULED:
        for mount in mounts_of(pod):
            yield reference(target, "persistentvolumeclaim", mount.claim, pod.namespace)
    maker = controller(pod)
    job = reference(target, "job", maker.name or "", pod.namespace) if maker and maker.kind == "Job" else ""
    yield from dict.fromkeys(owner for owner in (job, owner_reference(target, pod)) if owner)


def _may_be_the_nodes_fault(trouble: Trouble) -> bool:
    # What crashes, or asks for an image that there is not, does so on every node.
    if trouble.kind is Kind.CANNOT_START:
        return bool(trouble.container and trouble.container.waiting_reason in _MADE_BY_THE_NODE)
    return trouble.kind in {Kind.NODE_LOST, Kind.STUCK, Kind.UNREADY, Kind.TOMBSTONE}


def facts(target: KubernetesTarget, trouble: Trouble) -> dict[str, str]:
    """What commands may name of this finding; by what is missing, the wrong ones leave themselves out."""
    container = {"container": trouble.container.name} if trouble.container else {}
    return pod_facts(target, trouble.pod) | container | dict(_remedies(trouble))


def _remedies(trouble: Trouble) -> Iterator[tuple[str, str]]:
    pod, owner = trouble.pod.name, top_owner(trouble.pod)
    rolled_out = owner.startswith(ROLLED_OUT)
    match trouble.kind:
        case Kind.CRASH | Kind.RESTARTS | Kind.OUT_OF_MEMORY:
            yield "crashed", pod
        case Kind.UNSCHEDULED:
            yield "unscheduled", pod
        case Kind.UNREADY:
            yield "unready", pod
        case Kind.NODE_LOST if trouble.node:
            yield "lost_node", trouble.node
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


def out_of_memory_pods(selection: Selection, within: float, now: datetime) -> int:
    """How many of the selected pods have a container that ran out of memory in the window."""
    return sum(_ran_out_of_memory(pod, within, now) is not None for pod in selection.matched)


def as_one(troubles: tuple[Trouble, ...]) -> Trouble:
    """Several pods with the same trouble, told as one: the first pod's, with the others beside it."""
    first = troubles[0]
    each = some_lines(troubles, lambda trouble: f"{trouble.pod.name}: {trouble.observed}", _EACH)
    return replace(
        first,
        alike=troubles,
        observed=f"{len(troubles)} pods; the first: {first.observed}",
        since=min((trouble.since for trouble in troubles if trouble.since), default=None),
        evidence=(*each, *first.evidence),
    )


def measure_ends(expectation: PodsHealthy, selection: Selection, observe: Observe, findings: Findings) -> None:
    """Record how often containers ended, where the policy limits that."""
    if expectation.no_oom_kill_within is not None:
        killed = out_of_memory_pods(selection, expectation.no_oom_kill_within, observe.now)
        findings.measure("pods out of memory", killed, subject=expectation.selected, limit=0, margin=-killed)
    if expectation.restarts is not None:
        name, count = most_restarts(selection, expectation.restarts.within, observe.now)
        limit = expectation.restarts.at_most
        findings.measure("restarts", count, subject=name, limit=limit, margin=limit - count)


def count_pods(expectation: PodsHealthy, selection: Selection, findings: Findings) -> None:
    """Hold the number of pods to what there must be."""
    count, least = len(selection.counted), expectation.min_matches
    findings.measure("pods", count, subject=expectation.selected, limit=least, margin=count - least)
    findings.measure("ready pods", selection.ready, subject=expectation.selected)
    if count < least:
        findings.add(
            subject=expectation.selected,
            observed=counted(count, "pod"),
            expected=f"at least {least}",
            evidence=seen_instead(expectation, selection),
            facts=too_few_facts(expectation),
        )
