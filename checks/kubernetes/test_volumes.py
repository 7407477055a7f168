"""The persistent volume claims of a cluster."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from opscheck import Findings, Observe, Remedy
from opscheck.core.findings import FindingParts
from opscheck.core.observation import CouldNotObserve, Problem
from opscheck.core.record import Finding
from opscheck.core.units import format_bytes, format_duration
from opscheck.core.words import some_with_reasons
from opscheck.systems.kubernetes.objects import ROLLED_OUT, reference
from opscheck.systems.kubernetes.pods import ListPods, Pod
from opscheck.systems.kubernetes.quantities import doubled, parse_quantity
from opscheck.systems.kubernetes.selection import count_matches, listed, matching
from opscheck.systems.kubernetes.shares import Share, Shares
from opscheck.systems.kubernetes.volumes import (
    CLASS_NOT_FOUND,
    ENLARGE,
    FRESH_S,
    FULL,
    LOST,
    METRICS,
    MISSING,
    NAMED_VOLUME,
    NOT_REMOVED,
    PENDING,
    RESIZE,
    RESTART_TO_RESIZE,
    SEE_FILES,
    SEE_INODES,
    STORAGE_CLASS,
    USED_BY,
    ListClaims,
    PersistentVolumeClaim,
    Storage,
    VolumesHealthy,
    VolumeStats,
    VolumeUsage,
    mounts_of,
    users_of_claims,
)
from opscheck.systems.kubernetes.warnings import Warnings
from opscheck.systems.kubernetes.words import cannot_tell, latest, message, messages, span
from opscheck.systems.prometheus.query import PrometheusVector

WAITS = "WaitForFirstConsumer"
YOUNG = timedelta(minutes=5)
"""The kubelet measures once a minute, and Prometheus scrapes once a minute; until then no numbers are normal."""
_FRESH = timedelta(seconds=FRESH_S)
_SHARED = 1.5  # times the requested size: rounding up to whole blocks and gibibytes is less
_NO_INODES = "without inodes"
_UNUSED = "usage of 0 reported"
# Words in the scheduler's messages about storage.
_ABOUT_STORAGE = ("volume", "persistentvolumeclaim", "storage")
_CHANGES = {
    "Resizing": "the volume is being resized",
    "FileSystemResizePending": "the volume has grown, the file system has not",
    "ControllerResizeError": "the volume could not be resized",
    "NodeResizeError": "the file system could not be resized",
}
_AT_THE_MOUNT = {"FileSystemResizePending", "NodeResizeError"}
"""Changes that wait for a node. While no pod mounts the claim, they are not stuck."""


def test_the_volumes_are_there_and_have_room(expectation: VolumesHealthy, observe: Observe, findings: Findings) -> None:
    """
    Every selected volume claim is bound, and mounted volumes have free space.

    A pod does not start without its volume. On a full volume a database stops, and often does not start again until
    space is freed.
    """
    there = listed(observe, expectation.lists(ListClaims))
    claims = matching(expectation, there)
    count_matches(expectation, there, claims, findings, remedy=MISSING)
    findings.measure("bound volumes", sum(claim.phase == "Bound" for claim in claims), subject=expectation.selected)
    users = users_of_claims(listed(observe, expectation.lists(ListPods)))
    classes = observe.evidence(expectation.classes())
    by_name = None if isinstance(classes, Problem) else {one.name: one for one in classes.items}
    storage = Storage(users, by_name, observe.now, expectation.grace)
    warnings = Warnings(expectation, observe)
    for claim in claims:
        finding = claim_finding(expectation, claim, storage, findings)
        if finding is not None:
            findings.report(warnings.attach(finding, claim))
    if expectation.limited:
        judge_use(expectation, claims, storage, observe, findings)
    if any(depends_on_its_class(claim, storage) for claim in claims):
        observe(expectation.classes())  # without an answer it is unknown whether these may be pending


def judge_use(
    expectation: VolumesHealthy,
    claims: Sequence[PersistentVolumeClaim],
    storage: Storage,
    observe: Observe,
    findings: Findings,
) -> None:
    """Compare the usage of volumes, from Prometheus or the kubelets, with the limits."""
    answers = {what: observe(query) for what, query in expectation.series().items()}
    stats = [observe(query) for query in expectation.kubelets()]
    volumes = (*from_prometheus(expectation, answers), *(one for answer in stats for one in answer.volumes))
    unread = {node: why for answer in stats for node, why in answer.unread.items()}
    use = VolumeUse(expectation, storage, VolumeStats(volumes=volumes, unread=unread))
    for claim in claims:
        use.judge(claim)
    for limit in expectation.limited:
        use.shares.grade(findings, expectation, limit, "used" if limit == "used" else "inodes used")
    for reason, count in sorted(use.exempt.items()):
        findings.measure(f"volumes that are {reason}", count, subject=expectation.selected)
    if use.shares.not_yet:
        findings.measure("volumes not measured yet", len(use.shares.not_yet), subject=expectation.selected)
    if (problem := use.unjudged()) is not None:
        raise CouldNotObserve((*expectation.series().values(), *expectation.kubelets())[0], problem)


def from_prometheus(expectation: VolumesHealthy, answers: Mapping[str, PrometheusVector]) -> list[VolumeUsage]:
    """
    The measurements in the series, one for each kubelet and replica of Prometheus that measured a claim.

    Series of several metrics belong together when all their labels except the metric's name are equal.
    """
    found: dict[frozenset[tuple[str, str]], dict[str, Any]] = {}
    for what, vector in answers.items():
        for sample in vector.samples:
            labels = frozenset(pair for pair in sample.labels.items() if pair[0] != "__name__")
            found.setdefault(labels, {})[what] = sample.value
    usages = [
        VolumeUsage(
            namespace=labels.get(expectation.prometheus_namespace_label, ""),
            claim=labels.get("persistentvolumeclaim", ""),
            cluster=labels.get("cluster", ""),
            **values,
        )
        for labels, values in ((dict(pairs), values) for pairs, values in found.items())
    ]
    return [usage for usage in usages if usage.claim]


class VolumeUse:
    """The usage of claims, each judged by its highest measurement."""

    def __init__(self, expectation: VolumesHealthy, storage: Storage, stats: VolumeStats) -> None:
        self._expectation = expectation
        self._storage = storage
        self._volumes: dict[tuple[str, str], list[VolumeUsage]] = {}
        self._unread = stats.unread
        self.shares = Shares()
        self.exempt = Counter[str]()
        """Number of claims without usage to judge, by the reason."""
        for one in stats.volumes:
            self._volumes.setdefault((one.namespace, one.claim), []).append(one)

    def judge(self, claim: PersistentVolumeClaim) -> None:
        """Add the shares of `claim`, or the reason why they are missing."""
        if claim.is_terminating or claim.phase != "Bound":
            return  # its state is reported
        users = self._storage.users_of(claim)
        pods = [pod for pod in users if pod.phase == "Running" and not pod.is_terminating]
        volumes, oldest = self._volumes.get((claim.namespace, claim.name), []), self._storage.now - _FRESH
        name = self._expectation.subject(claim)
        fresh = [volume for volume in volumes if volume.at is None or volume.at >= oldest]
        if reason := _nothing_to_judge(claim, pods, volumes):
            self.exempt[reason] += 1
        elif len({volume.cluster for volume in fresh}) > 1:
            clusters = ", ".join(sorted({volume.cluster or "(none)" for volume in fresh}))
            self.shares.missing[name] = f"clusters {clusters} have this claim; name one in `prometheus_labels`"
        elif not fresh:
            self._judge_silence(name, pods, volumes)
        else:
            for limit in self._expectation.limited:
                self._judge_limit(limit, claim, pods, fresh)

    def _judge_silence(self, name: str, pods: Sequence[Pod], volumes: Sequence[VolumeUsage]) -> None:
        starts = [pod.status.start_time for pod in pods if pod.status and pod.status.start_time]
        if starts and self._storage.now - min(starts) < YOUNG:
            self.shares.not_yet[name] = "mounted just now"
            return
        node = pods[0].node if pods else ""
        where = f"mounted by {pods[0].name}{f' on {node}' if node else ''}" if pods else "mounted"
        why = self._unread.get(node) or f"no measurement in the last {format_duration(_FRESH.total_seconds())}"
        times = [volume.at for volume in volumes if volume.at]
        if times:
            why = f"measurements are {span(min(times), self._storage.now)} old"
        self.shares.missing[name] = f"{where}, {why}"

    def _judge_limit(
        self, limit: str, claim: PersistentVolumeClaim, pods: Sequence[Pod], volumes: Sequence[VolumeUsage]
    ) -> None:
        shares = [_share(limit, volume) for volume in volumes]
        judged = [share for share in shares if isinstance(share, tuple)]
        name = self._expectation.subject(claim)
        if judged:
            percent, detail, volume = max(judged, key=lambda share: share[:2])
            parts = self._parts(limit, claim, pods, volume)
            self.shares.found.append(Share(limit, name, percent, detail, parts))
            return
        # Of several reasons, one that leaves the use unknown.
        reasons = (reason for reason in shares if isinstance(reason, str))
        reason = min(reasons, key=lambda one: (one in {_NO_INODES, _UNUSED}, one))
        if reason == _NO_INODES:
            self.exempt[reason] += 1
        else:
            (self.shares.not_yet if reason == _UNUSED else self.shares.missing)[name] = reason

    def _parts(
        self, limit: str, claim: PersistentVolumeClaim, pods: Sequence[Pod], volume: VolumeUsage
    ) -> FindingParts:
        target, larger = self._expectation.target, doubled(claim.requested)
        made_by = (self._storage.classes or {}).get(claim.class_name or "")
        remedies, facts = [FULL], {"namespace": claim.namespace or target.namespace, "claim": claim.name}
        shared = limit == "used" and _is_shared(claim, volume)
        note = f"the file system is larger than the requested {claim.requested}: other clients may fill it too"
        if pods:
            remedies.append(SEE_FILES if limit == "used" else SEE_INODES)
            facts["pod"] = pods[0].name
        if limit == "used" and not shared and larger and made_by and made_by.allow_volume_expansion:
            remedies.append(ENLARGE)
            patch = {"spec": {"resources": {"requests": {"storage": larger}}}}
            facts |= {"doubled_size": larger, "size_patch": json.dumps(patch, separators=(",", ":"))}
        return {
            "remedies": remedies,
            "facts": facts,
            "evidence": [note] if shared else [],
            "about": reference(target, "persistentvolumeclaim", claim.name, claim.namespace),
        }

    def unjudged(self) -> Problem | None:
        """The problem of missing measurements, which may hide a violation; None without one."""
        if self.shares.missing:
            text = f"usage unknown: {some_with_reasons(self.shares.missing)}"
            return cannot_tell(text, _advice(self._expectation))
        if self.shares.not_yet and any(not self.shares.of(limit) for limit in self._expectation.limited):
            text = f"no usage yet: {some_with_reasons(self.shares.not_yet)}"
            return cannot_tell(text, "run it again in some minutes, or remove the limit")
        return None


def _nothing_to_judge(claim: PersistentVolumeClaim, pods: Sequence[Pod], volumes: Sequence[VolumeUsage]) -> str:
    """The reason why it has no usage to judge; empty when it has."""
    if claim.spec and claim.spec.volume_mode == "Block":
        return "block devices"
    modes = (claim.status and claim.status.access_modes) or (claim.spec and claim.spec.access_modes) or ()
    mounts = [mount for pod in pods for mount in mounts_of(pod) if mount.claim == claim.name]
    if (modes and set(modes) == {"ReadOnlyMany"}) or (mounts and all(mount.read_only for mount in mounts)):
        return "read-only"
    return "" if pods or volumes else "not mounted"


def _share(limit: str, volume: VolumeUsage) -> tuple[float, str, VolumeUsage] | str:
    """The percentage and its numbers, or the reason why they are missing."""
    left, whole, used = (getattr(volume, name) for name in METRICS[limit])
    if whole is None or left is None:
        return "no inodes reported" if limit == "inodes" else "no capacity reported"
    if whole <= 0:
        # A file system that creates inodes on demand cannot run out of them.
        return _NO_INODES if limit == "inodes" else "capacity of 0 reported"
    if used is not None and used <= 0:
        return _UNUSED
    # Not `used`: the blocks reserved for root are neither used nor writable.
    percent = max(0.0, (1 - left / whole) * 100)
    show: Callable[[float], str] = format_bytes if limit == "used" else "{:.0f}".format
    return percent, f"{show(left)} left of {show(whole)}", volume


def _is_shared(claim: PersistentVolumeClaim, volume: VolumeUsage) -> bool:
    """True when the file system is larger than the requested size: NFS and EFS report the whole."""
    try:
        asked = float(parse_quantity(claim.requested))
    except ValueError:
        return False
    return volume.capacity is not None and volume.capacity > _SHARED * asked > 0


def _advice(expectation: VolumesHealthy) -> str:
    if expectation.prometheus is None:
        return "check the kubelet of that node, and whether the storage driver measures its volumes"
    label = expectation.prometheus_namespace_label
    return (
        "check that Prometheus scrapes the kubelets (kubelet_volume_stats_*), that the label "
        f"{label} has the claims' namespace, and that the storage driver measures its volumes"
    )


def claim_finding(
    expectation: VolumesHealthy, claim: PersistentVolumeClaim, storage: Storage, findings: Findings
) -> Finding | None:
    """The finding for a claim without a volume, stuck in a change, or not removed; else None."""
    facts = {"claim": claim.name, "storage_class": claim.class_name, "volume": claim.volume_name}
    here = expectation.on(findings, claim, **{fact: value for fact, value in facts.items() if value})
    if claim.is_terminating:
        return _not_removed(claim, storage, here)
    if claim.phase == "Lost":
        volume = claim.volume_name
        return here.finding(
            observed=f"Lost: volume {volume} does not exist" if volume else "Lost: its volume does not exist",
            expected="Bound",
            remedies=[LOST, NAMED_VOLUME] if volume else [LOST],
        )
    if claim.phase == "Pending":
        return _pending(claim, storage, here)
    return _stuck_change(claim, storage, here)


def depends_on_its_class(claim: PersistentVolumeClaim, storage: Storage) -> bool:
    """True when `claim` is pending and only its unknown storage class decides whether it may be."""
    waiting = claim.phase == "Pending" and not claim.is_terminating and storage.overdue(claim.created)
    unknown = storage.classes is None and claim.class_name and not claim.volume_name
    return bool(waiting and unknown and not _waiting_pods(claim, storage))


def _waiting_pods(claim: PersistentVolumeClaim, storage: Storage) -> tuple[Pod, ...]:
    return tuple(pod for pod in storage.users_of(claim) if not pod.is_terminating)


def _pending(claim: PersistentVolumeClaim, storage: Storage, here: Findings) -> Finding | None:
    name, pods = claim.class_name, _waiting_pods(claim, storage)
    known = (storage.classes or {}).get(name or "")
    # A claim that names a volume can only be bound to that one.
    waits = storage.classes is None if known is None else known.volume_binding_mode == WAITS
    may_wait = bool(name) and not claim.volume_name and waits
    since = claim.created
    if may_wait:
        # The volume is provisioned for the first pod; the time counts from that pod.
        asked = min((pod.created for pod in pods if pod.created), default=None)
        since = asked and latest(asked, claim.created)
    if not (lasted := storage.overdue(since)):
        return None
    why, remedies = _obstacle(claim, missing=storage.classes is not None and known is None)
    used_by = f"; pod {pods[0].name} waits for it{_and_more(len(pods))}" if pods else ""
    refusals = tuple(_unscheduled(pods))
    about_storage = any(word in one.lower() for one in refusals for word in _ABOUT_STORAGE)
    return here.finding(
        observed=f"Pending for {lasted}: {why}{used_by}",
        expected=f"Bound within {format_duration(storage.grace)}",
        since=since,
        evidence=refusals,
        remedies=[PENDING, *remedies, *([USED_BY] if pods else []), *([NAMED_VOLUME] if claim.volume_name else [])],
        facts={"pod": pods[0].name} if pods else {},
        # A pod that cannot be scheduled for lack of CPU is the cause of this, not its consequence.
        about=here.common["about"] if not may_wait or not refusals or about_storage else "",
    )


def _obstacle(claim: PersistentVolumeClaim, *, missing: bool) -> tuple[str, tuple[Remedy, ...]]:
    """The reason why it is pending, and the remedies for its storage class."""
    name, named = claim.class_name, claim.volume_name
    if named:
        return f"its volume {named} is not bound to it", ()
    if name is None:
        return "no storage class is named, and no existing volume fits", ()
    if not name:
        return 'storage class "" provisions no volume, and no existing volume fits', ()
    if missing:
        return f"storage class {name} does not exist, and no existing volume fits", (CLASS_NOT_FOUND,)
    return f"storage class {name} has no volume for it", (STORAGE_CLASS,)


def _unscheduled(pods: Iterable[Pod]) -> Iterator[str]:
    """The scheduler's messages about them."""
    for pod in pods:
        if found := pod.condition("PodScheduled", "False"):
            yield f"pod {pod.name}: {message(found.message)}"


def _not_removed(claim: PersistentVolumeClaim, storage: Storage, here: Findings) -> Finding | None:
    # Claims are deleted without a grace period, so this is the time of the deletion.
    if not (lasted := storage.overdue(claim.deletion_due)):
        return None
    pods = storage.users_of(claim)
    held = f"finalizers: {', '.join(claim.finalizers) or 'none'}"
    if pods:
        held = f"pod {pods[0].name} still uses it{_and_more(len(pods))}, and loses it at the next restart"
    return here.finding(
        observed=f"deleted {lasted} ago and not removed: {held}",
        expected=f"removed within {format_duration(storage.grace)}",
        since=claim.deletion_due,
        remedies=[NOT_REMOVED, USED_BY] if pods else [NOT_REMOVED],
        facts={"pod": pods[0].name} if pods else {},
    )


def _stuck_change(claim: PersistentVolumeClaim, storage: Storage, here: Findings) -> Finding | None:
    pods = _waiting_pods(claim, storage)
    owner = next((owner for pod in pods if (owner := pod.top_owner).startswith(ROLLED_OUT)), "")
    for one in (claim.status and claim.status.conditions) or ():
        lasted, at_the_mount = storage.overdue(one.last_transition_time), one.type in _AT_THE_MOUNT
        if one.type in _CHANGES and one.status == "True" and lasted and (pods or not at_the_mount):
            restart = owner and at_the_mount
            return here.finding(
                observed=f"{one.type} for {lasted}: {_CHANGES[one.type]}",
                expected=f"done within {format_duration(storage.grace)}",
                since=one.last_transition_time,
                evidence=messages(one.message),
                remedies=[RESIZE, RESTART_TO_RESIZE] if restart else [RESIZE],
                facts={"owner": owner} if restart else {},
            )
    return None


def _and_more(count: int) -> str:
    return f" and {count - 1} more" if count > 1 else ""
