"""The storage that a cluster's pods have claimed."""

from collections.abc import Iterable, Iterator, Sequence

from opscheck import Findings, Observe, Remedy
from opscheck.core.observation import CouldNotObserve, Problem
from opscheck.core.record import Finding
from opscheck.core.units import format_duration
from opscheck.systems.kubernetes.owners import ROLLED_OUT, top_owner
from opscheck.systems.kubernetes.pod_status import pod_condition
from opscheck.systems.kubernetes.pods import ListPods, Pod
from opscheck.systems.kubernetes.selection import count_matches, listed, matching
from opscheck.systems.kubernetes.volume_usage import VolumeUse, from_prometheus
from opscheck.systems.kubernetes.volumes import (
    CLASS_NOT_FOUND,
    LOST,
    MISSING,
    NAMED_VOLUME,
    NOT_REMOVED,
    PENDING,
    RESIZE,
    RESTART_TO_RESIZE,
    STORAGE_CLASS,
    USED_BY,
    ListClaims,
    PersistentVolumeClaim,
    Storage,
    VolumesHealthy,
    users_of_claims,
)
from opscheck.systems.kubernetes.warnings import Warnings
from opscheck.systems.kubernetes.words import latest, message, messages

WAITS = "WaitForFirstConsumer"
# Words by which the scheduler names storage as the obstacle.
_ABOUT_STORAGE = ("volume", "persistentvolumeclaim", "storage")
_CHANGES = {
    "Resizing": "its volume is being resized",
    "FileSystemResizePending": "its volume has grown, and the file system on it has not",
    "ControllerResizeError": "its volume could not be resized",
    "NodeResizeError": "the file system on it could not be resized",
}
_AT_THE_MOUNT = {"FileSystemResizePending", "NodeResizeError"}
"""Changes that wait for a node. While no pod mounts the claim, nothing is stuck."""


def test_the_volumes_are_there_and_have_room(expectation: VolumesHealthy, observe: Observe, findings: Findings) -> None:
    """
    Every selected claim has its volume, and the mounted ones have room.

    A pod does not start without its volume. On a full one a database stops, and often does not come up again before
    there is room.
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
        observe(expectation.classes())  # without an answer, whether these may be pending is unknown


def judge_use(
    expectation: VolumesHealthy,
    claims: Sequence[PersistentVolumeClaim],
    storage: Storage,
    observe: Observe,
    findings: Findings,
) -> None:
    """Compare the use of volumes with the limits, as Prometheus or the kubelets report it."""
    answers = {what: observe(query) for what, query in expectation.series().items()}
    stats = [observe(query) for query in expectation.kubelets()]
    volumes = (*from_prometheus(expectation, answers), *(one for answer in stats for one in answer.volumes))
    unread = {node: why for answer in stats for node, why in answer.unread.items()}
    use = VolumeUse(expectation, storage, volumes, unread)
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


def claim_finding(
    expectation: VolumesHealthy, claim: PersistentVolumeClaim, storage: Storage, findings: Findings
) -> Finding | None:
    """A claim without a volume, stuck in a change, or not removed; None also where only its class could decide."""
    facts = {"claim": claim.name, "storage_class": claim.class_name, "volume": claim.volume_name}
    here = expectation.on(findings, claim, **{fact: value for fact, value in facts.items() if value})
    if claim.is_terminating:
        return _not_removed(claim, storage, here)
    if claim.phase == "Lost":
        volume = claim.volume_name
        return here.finding(
            observed=f"Lost: its volume {volume or 'of old'} is gone, and what was on it cannot be reached",
            expected="Bound",
            remedies=[LOST, NAMED_VOLUME] if volume else [LOST],
        )
    if claim.phase == "Pending":
        return _pending(claim, storage, here)
    return _stuck_change(claim, storage, here)


def depends_on_its_class(claim: PersistentVolumeClaim, storage: Storage) -> bool:
    """True when `claim` is pending and only its storage class, which is not known, can say whether it may be."""
    waiting = claim.phase == "Pending" and not claim.is_terminating and storage.overdue(claim.created)
    unknown = storage.classes is None and claim.class_name and not claim.volume_name
    return bool(waiting and unknown and not _waiting_pods(claim, storage))


def _waiting_pods(claim: PersistentVolumeClaim, storage: Storage) -> tuple[Pod, ...]:
    return tuple(pod for pod in storage.users_of(claim) if not pod.is_terminating)


def _pending(claim: PersistentVolumeClaim, storage: Storage, here: Findings) -> Finding | None:
    name, pods = claim.class_name, _waiting_pods(claim, storage)
    known = (storage.classes or {}).get(name or "")
    # A claim that names a volume is bound to that one, or to none.
    waits = storage.classes is None if known is None else known.volume_binding_mode == WAITS
    may_wait = bool(name) and not claim.volume_name and waits
    since = claim.created
    if may_wait:
        # The volume is made for the first pod; the time runs from that pod on.
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
        # A pod that no node takes for want of CPU is the cause of this, and not its consequence.
        about=here.common["about"] if not may_wait or not refusals or about_storage else "",
    )


def _obstacle(claim: PersistentVolumeClaim, *, missing: bool) -> tuple[str, tuple[Remedy, ...]]:
    """Why it is pending, and what to do about its storage class."""
    name, named = claim.class_name, claim.volume_name
    if named:
        return f"volume {named}, which it asks for, is not bound to it", ()
    if name is None:
        return "it names no storage class, and no existing volume fits", ()
    if not name:
        return 'its storage class is "", so that no volume is made for it, and no existing one fits', ()
    if missing:
        return f"there is no storage class {name}, and no existing volume fits", (CLASS_NOT_FOUND,)
    return f"storage class {name} has no volume for it", (STORAGE_CLASS,)


def _unscheduled(pods: Iterable[Pod]) -> Iterator[str]:
    """Why the scheduler finds no node for them."""
    for pod in pods:
        found = pod_condition(pod, "PodScheduled")
        if found is not None and found.status == "False":
            yield f"pod {pod.name}: {message(found.message)}"


def _not_removed(claim: PersistentVolumeClaim, storage: Storage, here: Findings) -> Finding | None:
    # Claims are deleted without a grace period, so this is the time of the deletion.
    if not (lasted := storage.overdue(claim.deletion_due)):
        return None
    pods = storage.users_of(claim)
    held = f"held by {', '.join(claim.finalizers) or 'nothing that it names'}"
    if pods:
        held = f"pod {pods[0].name} still uses it{_and_more(len(pods))}, and loses it with its next restart"
    return here.finding(
        observed=f"deleted {lasted} ago and still there: {held}",
        expected=f"gone within {format_duration(storage.grace)}",
        since=claim.deletion_due,
        remedies=[NOT_REMOVED, USED_BY] if pods else [NOT_REMOVED],
        facts={"pod": pods[0].name} if pods else {},
    )


def _stuck_change(claim: PersistentVolumeClaim, storage: Storage, here: Findings) -> Finding | None:
    pods = _waiting_pods(claim, storage)
    owner = next((owner for pod in pods if (owner := top_owner(pod)).startswith(ROLLED_OUT)), "")
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
