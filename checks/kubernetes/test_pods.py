"""The pods of a cluster."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from opscheck import Findings, Observe
from opscheck.core.record import Finding
from opscheck.core.remedy import Remedy
from opscheck.core.units import format_duration
from opscheck.core.words import counted, some_lines
from opscheck.systems.kubernetes.containers import containers
from opscheck.systems.kubernetes.objects import ROLLED_OUT, owner_reference, reference
from opscheck.systems.kubernetes.pod_status import FaultKind, PodFault, fault_of
from opscheck.systems.kubernetes.pods import (
    MISSING_PODS,
    MORE_MEMORY,
    POD_FAILED,
    RESTART,
    ROLL_BACK,
    ListPods,
    Pod,
    PodsHealthy,
    RestartLimit,
)
from opscheck.systems.kubernetes.quantities import doubled
from opscheck.systems.kubernetes.selection import listed, matching, missing_facts, there_instead
from opscheck.systems.kubernetes.target import KubernetesTarget
from opscheck.systems.kubernetes.volumes import mounts_of
from opscheck.systems.kubernetes.warnings import Warnings
from opscheck.systems.kubernetes.words import longer_than

_EACH = 10
"""Number of pods that are listed in a finding about several."""
_MADE_BY_THE_NODE = {"CreateContainerError", "RunContainerError"}
_INEXACT = "Kubernetes counts restarts since the pod was created, and keeps only the time of the last one"


def test_the_pods_are_well(expectation: PodsHealthy, observe: Observe, findings: Findings) -> None:
    """
    Enough selected pods are running and ready, or have completed as designed.

    A pod that crashes, cannot start or is not ready serves no requests, and its load falls on the others.
    """
    there = listed(observe, expectation.lists(ListPods))
    pods = matching(expectation, there)
    count_pods(expectation, there, pods, findings)
    warnings = Warnings(expectation, observe)
    for fault in faults(expectation, pods, observe.now):
        findings.report(warnings.attach(finding(expectation, fault), fault.pod))
    measure_ends(expectation, pods, observe.now, findings)


def _left_out(pod: Pod, *, count_completed: bool) -> str:
    """The reason why a pod does not count as a match; empty when it does."""
    if pod.is_terminating:
        return "terminating"
    if pod.phase == "Failed":
        return "failed"
    if not count_completed and pod.phase == "Succeeded":
        return "completed"
    # A job's pod ends; it must not replace one that should always run.
    return "of a job" if not count_completed and pod.is_of_job else ""


def faults(expectation: PodsHealthy, pods: Iterable[Pod], now: datetime) -> tuple[PodFault, ...]:
    """
    The faults of the selected pods, sorted by name.

    The same fault in several pods of an owner is reported once: one rollout failed, not fifty pods.
    """
    found: dict[tuple[object, ...], list[PodFault]] = {}
    for pod in pods:
        fault = (
            fault_of(pod, now, expectation.grace)
            or _ran_out_of_memory(pod, expectation.no_oom_kill_within, now)
            or _restarts_too_often(pod, expectation.restarts, now)
        )
        if fault is not None:
            found.setdefault(_alike(fault), []).append(fault)
    return tuple(as_one(tuple(group)) if len(group) > 1 else group[0] for group in found.values())


def _alike(fault: PodFault) -> tuple[object, ...]:
    pod = fault.pod
    if fault.kind is FaultKind.NODE_LOST and pod.node:
        return fault.kind, pod.node
    container = fault.container and fault.container.name
    return fault.kind, pod.namespace, pod.top_owner or pod.name, container, fault.out_of_memory


def _ran_out_of_memory(pod: Pod, within: float | None, now: datetime) -> PodFault | None:
    if within is None or pod.is_terminating or pod.phase == "Succeeded":
        return None
    for container in containers(pod):
        ended = container.out_of_memory
        if ended is not None and not (ended.finished_at and longer_than(within, ended.finished_at, now)):
            observed = f"container {container.name} ran out of memory: {container.described(ended, now)}"
            expected = f"no container out of memory in {format_duration(within)}"
            return PodFault(FaultKind.OUT_OF_MEMORY, pod, observed, expected, ended.finished_at, container)
    return None


def _restarts_too_often(pod: Pod, limit: RestartLimit | None, now: datetime) -> PodFault | None:
    if limit is None:
        return None
    least, most = pod_restarts(pod, limit.within, now)
    if most <= limit.at_most:
        return None
    worst = max(containers(pod), key=lambda container: container.restarts_within(pod, now, limit.within)[1])
    window, ended = format_duration(limit.within), worst.last_end
    count = f"{most}" if least == most else f"{least} to {most}"
    observed = f"{count} restarts in {window}: container {worst.name}, {worst.described(ended, now)}"
    expected = f"<= {limit.at_most} restarts in {window}"
    since, evidence = ended and ended.finished_at, () if least == most else (_INEXACT,)
    return PodFault(FaultKind.RESTARTS, pod, observed, expected, since, worst, evidence)


def pod_restarts(pod: Pod, within: float, now: datetime) -> tuple[int, int]:
    """Minimum and maximum restarts of all containers within the window, added up as in `kubectl get pods`."""
    if not pod.has_restarted or pod.is_terminating or pod.phase == "Succeeded" or pod.is_of_job:
        return 0, 0
    each = [container.restarts_within(pod, now, within) for container in containers(pod)]
    return sum(least for least, _ in each), sum(most for _, most in each)


def finding(expectation: PodsHealthy, fault: PodFault) -> Finding:
    """A finding about the pod, or about the common owner or node of several."""
    target, pod, owner = expectation.target, fault.pod, fault.pod.top_owner
    subject, about = expectation.subject(pod), reference(target, "pod", pod.name, pod.namespace)
    if fault.alike and fault.kind is FaultKind.NODE_LOST and pod.node:
        subject, about = f"node/{pod.node}", reference(target, "node", pod.node)
    elif fault.alike:
        subject, about = expectation.subject(pod, owner), owner_reference(target, pod)
    return expectation.finding(
        subject=subject,
        observed=f"{fault.observed}; {owner}" if owner and not fault.alike else fault.observed,
        expected=fault.expected,
        since=fault.since,
        evidence=fault.evidence,
        remedies=tuple(remedies(fault)),
        facts=fault.facts | more_memory(fault),
        about=about,
        because=because(target, fault),
    )


def because(target: KubernetesTarget, fault: PodFault) -> tuple[str, ...]:
    """
    References of possible causes: the node, the claims that it waits for, the owner.

    Of several pods only causes common to all: a node that is down must not hide failures on other nodes.
    """
    each = [tuple(_causes(target, one)) for one in fault.alike or (fault,)]
    return tuple(cause for cause in each[0] if all(cause in others for others in each))


def _causes(target: KubernetesTarget, fault: PodFault) -> Iterator[str]:
    pod = fault.pod
    if pod.node and _may_be_the_nodes_fault(fault):
        yield reference(target, "node", pod.node)
    if fault.kind is FaultKind.UNSCHEDULED:
        for mount in mounts_of(pod):
            yield reference(target, "persistentvolumeclaim", mount.claim, pod.namespace)
    maker = pod.controller
    job = reference(target, "job", maker.name or "", pod.namespace) if maker and maker.kind == "Job" else ""
    yield from dict.fromkeys(owner for owner in (job, owner_reference(target, pod)) if owner)


def _may_be_the_nodes_fault(fault: PodFault) -> bool:
    # A crash or a missing image happens on every node.
    if fault.kind is FaultKind.CANNOT_START:
        return bool(fault.container and fault.container.waiting_reason in _MADE_BY_THE_NODE)
    return fault.kind in {FaultKind.NODE_LOST, FaultKind.STUCK, FaultKind.UNREADY, FaultKind.TOMBSTONE}


def remedies(fault: PodFault) -> Iterator[Remedy]:
    """The remedies for the fault and its owner."""
    rolled_out = fault.pod.top_owner.startswith(ROLLED_OUT)
    yield POD_FAILED if fault.kind is FaultKind.TOMBSTONE else fault.remedy
    if rolled_out and fault.kind in {FaultKind.CRASH, FaultKind.CANNOT_START}:
        yield ROLL_BACK
    if rolled_out and fault.kind is FaultKind.UNREADY:
        yield RESTART
    if rolled_out and more_memory(fault):
        yield MORE_MEMORY


def more_memory(fault: PodFault) -> dict[str, str]:
    """The fact with twice the memory limit of an OOM-killed container; empty without a limit."""
    limit = fault.container.limit("memory") if fault.container and fault.out_of_memory else None
    return {"doubled_memory": more} if limit and (more := doubled(limit)) else {}


def as_one(faults: tuple[PodFault, ...]) -> PodFault:
    """The fault of several pods as one: that of the first pod, with the others in `alike`."""
    first = faults[0]
    each = some_lines(faults, lambda fault: f"{fault.pod.name}: {fault.observed}", _EACH)
    return replace(
        first,
        alike=faults,
        observed=f"{len(faults)} pods, the first: {first.observed}",
        since=min((fault.since for fault in faults if fault.since), default=None),
        evidence=(*each, *first.evidence),
    )


def measure_ends(expectation: PodsHealthy, pods: Sequence[Pod], now: datetime, findings: Findings) -> None:
    """Record the number of pods out of memory, and the most restarts, if the policy limits them."""
    if (within := expectation.no_oom_kill_within) is not None:
        killed = sum(_ran_out_of_memory(pod, within, now) is not None for pod in pods)
        findings.measure("pods out of memory", killed, subject=expectation.selected, limit=0, margin=-killed)
    if (limit := expectation.restarts) is not None:
        counts = [(pod_restarts(pod, limit.within, now)[1], pod.name) for pod in pods]
        count, name = max(counts, default=(0, ""))
        subject, most = name if count else "", limit.at_most
        findings.measure("restarts", count, subject=subject, limit=most, margin=most - count)


def count_pods(expectation: PodsHealthy, there: Sequence[Pod], matched: Sequence[Pod], findings: Findings) -> None:
    """Compare the number of pods with the minimum; a finding lists the existing pods."""
    reasons = [_left_out(pod, count_completed=expectation.count_completed) for pod in matched]
    count, least = reasons.count(""), expectation.min_matches
    ready = sum(pod.is_ready for pod, reason in zip(matched, reasons, strict=True) if not reason)
    here = findings.on(expectation.selected)
    here.measure("pods", count, limit=least, margin=count - least)
    here.measure("ready pods", ready)
    if count < least:
        left_out = sorted(Counter(reason for reason in reasons if reason).items())
        why = [f"not counted: {', '.join(f'{times} {reason}' for reason, times in left_out)}"] if left_out else []
        pods = counted(len(there), "pod") if there else "no pods"
        here.add(
            observed=counted(count, "pod"),
            expected=f">= {least}",
            evidence=[*why, *there_instead(expectation, there, pods)],
            remedies=[MISSING_PODS],
            facts=missing_facts(expectation, "pods"),
        )
