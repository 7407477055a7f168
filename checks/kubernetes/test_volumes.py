"""The storage that a cluster's pods have claimed."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve, Problem
from opscheck.core.units import format_duration
from opscheck.systems.kubernetes.objects import Condition
from opscheck.systems.kubernetes.owners import ROLLED_OUT, reference, top_owner
from opscheck.systems.kubernetes.pod_status import pod_condition
from opscheck.systems.kubernetes.pods import ListPods, Pod
from opscheck.systems.kubernetes.remedies import place_facts
from opscheck.systems.kubernetes.selection import count_matches, listed, matching
from opscheck.systems.kubernetes.target import KubernetesTarget
from opscheck.systems.kubernetes.troubles import Trouble, tell
from opscheck.systems.kubernetes.volume_usage import Measured, Use, from_prometheus, unjudged, use_of
from opscheck.systems.kubernetes.volumes import (
    ListClaims,
    PersistentVolumeClaim,
    Storage,
    VolumesHealthy,
    users_of_claims,
)
from opscheck.systems.kubernetes.warnings import Warnings
from opscheck.systems.kubernetes.words import message, messages

WAITS = "WaitForFirstConsumer"

_PENDING, _LOST = "Pending", "Lost"

# Words by which the scheduler says that it is the storage that stands in the way.
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
    there = listed(observe, expectation.ask(ListClaims))
    claims = matching(expectation, there)
    count_matches(expectation, there, claims, findings)
    users = users_of_claims(listed(observe, expectation.ask(ListPods)))
    classes = observe.aside(expectation.classes())
    by_name = None if isinstance(classes, Problem) else {one.name: one for one in classes.items}
    storage = Storage(users, by_name, observe.now, expectation.grace)
    find_troubles(expectation, claims, storage, Warnings(expectation, observe), findings)
    if expectation.limited:
        judge_use(expectation, claims, storage, observe, findings)
    if any(depends_on_its_class(claim, storage) for claim in claims):
        observe(expectation.classes())  # which has no answer: nobody knows whether these may be pending


def find_troubles(
    expectation: VolumesHealthy,
    claims: Sequence[PersistentVolumeClaim],
    storage: Storage,
    warnings: Warnings,
    findings: Findings,
) -> None:
    """Tell each claim that has no volume, is stuck in a change, or does not go."""
    findings.measure("bound volumes", sum(claim.phase == "Bound" for claim in claims), subject=expectation.selected)
    for claim in claims:
        trouble = trouble_of(claim, storage)
        if trouble is not None:
            tell(findings, expectation, trouble, warnings)


def judge_use(
    expectation: VolumesHealthy,
    claims: Sequence[PersistentVolumeClaim],
    storage: Storage,
    observe: Observe,
    findings: Findings,
) -> None:
    """Hold what is used to the limits, as Prometheus or the kubelets know it."""
    answers = {what: observe(query) for what, query in expectation.series().items()}
    stats = [observe(query) for query in expectation.kubelets()]
    volumes = (*from_prometheus(expectation, answers), *(one for answer in stats for one in answer.volumes))
    unread = {node: why for answer in stats for node, why in answer.unread.items()}
    use = use_of(expectation, claims, Measured(volumes, unread, storage))
    grade_use(expectation, use, findings)
    if (problem := unjudged(expectation, use)) is not None:
        raise CouldNotObserve((*expectation.series().values(), *expectation.kubelets())[0], problem)


def grade_use(expectation: VolumesHealthy, use: Use, findings: Findings) -> None:
    """Tell the fullest volume, and all that break the limits."""
    for name in expectation.limited:
        limit = getattr(expectation, name)
        for place, share in enumerate(use.fullest(name)):
            if place == 0 or limit.severity(share.percent):
                findings.grade(
                    "used" if name == "used" else "inodes used",
                    share.percent,
                    limit,
                    unit="%",
                    subject=expectation.subject(share.claim),
                    detail=share.detail,
                    evidence=share.evidence,
                    facts=place_facts(expectation.target, share.claim.namespace) | dict(share.facts),
                    about=claim_reference(expectation.target, share.claim),
                )
    for reason, count in sorted(use.exempt.items()):
        findings.measure(f"volumes that are {reason}", count, subject=expectation.selected)
    if use.not_yet:
        findings.measure("volumes not measured yet", len(use.not_yet), subject=expectation.selected)


def claim_reference(target: KubernetesTarget, claim: PersistentVolumeClaim) -> str:
    """What a finding about `claim` is about."""
    return reference(target, "persistentvolumeclaim", claim.name, claim.namespace)


def trouble_of(claim: PersistentVolumeClaim, storage: Storage) -> Trouble | None:
    """What is wrong with `claim`; None also where that depends on storage classes that could not be read."""
    found = _trouble_of(claim, storage)
    return found and replace(found, facts={"claim": claim.name, **found.facts})


def _trouble_of(claim: PersistentVolumeClaim, storage: Storage) -> Trouble | None:
    if claim.is_terminating:
        return _stuck(claim, storage)
    if claim.phase == _LOST:
        return _lost(claim)
    if claim.phase == _PENDING:
        return _pending(claim, storage)
    return _unfinished(claim, storage)


def depends_on_its_class(claim: PersistentVolumeClaim, storage: Storage) -> bool:
    """True when only its storage class can say whether `claim` is right to be pending, and that is not known."""
    waiting = claim.phase == _PENDING and not claim.is_terminating and storage.is_over(claim.created)
    asks_for_one = claim.spec is not None and claim.spec.volume_name
    unknown = storage.classes is None and bool(claim.class_name) and not asks_for_one
    return waiting and unknown and not _waiting_pods(claim, storage)


def _waiting_pods(claim: PersistentVolumeClaim, storage: Storage) -> tuple[Pod, ...]:
    return tuple(pod for pod in storage.users_of(claim) if not pod.is_terminating)


def _pending(claim: PersistentVolumeClaim, storage: Storage) -> Trouble | None:
    name, pods = claim.class_name, _waiting_pods(claim, storage)
    known = (storage.classes or {}).get(name or "")
    # One that asks for a volume by its name is bound to that, or to none.
    named = (claim.spec and claim.spec.volume_name) or ""
    waits = storage.classes is None if known is None else known.volume_binding_mode == WAITS
    may_wait = bool(name) and not named and waits
    if may_wait and not pods:
        return None
    # Where a volume is made for the first pod, the time runs from that pod on.
    asked = _first_asked(claim, pods) if may_wait else claim.created
    if asked is None or not storage.is_over(asked):
        return None
    missing = bool(name) and storage.classes is not None and known is None
    why = f"volume {named}, which it asks for, is not bound to it" if named else _why_pending(name, missing=missing)
    observed = [f"Pending for {format_duration(storage.seconds(asked))}", why]
    if pods:
        observed.append(f"pod {pods[0].name} waits for it{_and_more(len(pods))}")
    facts = {"pending": claim.name, "volume": named, "pod": _first(pods)}
    facts |= {} if named else {"missing_class" if missing else "storage_class": name or ""}
    refusals = tuple(_unscheduled(pods))
    return Trouble(
        claim,
        ": ".join(observed[:2]) + "".join(f"; {part}" for part in observed[2:]),
        f"Bound within {format_duration(storage.grace)}",
        asked,
        refusals,
        {fact: value for fact, value in facts.items() if value},
        # A pod that no node takes for want of CPU is the cause of this, and not its consequence.
        explains=not may_wait
        or not refusals
        or any(word in one.lower() for one in refusals for word in _ABOUT_STORAGE),
    )


def _why_pending(name: str | None, *, missing: bool) -> str:
    if name is None:
        return "it names no storage class, and no existing volume fits"
    if not name:
        return 'its storage class is "", so that no volume is made for it, and no existing one fits'
    if missing:
        return f"there is no storage class {name}, and no existing volume fits"
    return f"storage class {name} has no volume for it"


def _first_asked(claim: PersistentVolumeClaim, pods: tuple[Pod, ...]) -> datetime | None:
    asked = min((pod.created for pod in pods if pod.created), default=None)
    return max(filter(None, (claim.created, asked)), default=None) if asked else None


def _unscheduled(pods: Iterable[Pod]) -> Iterator[str]:
    """Why the scheduler finds no node for them."""
    for pod in pods:
        found = pod_condition(pod, "PodScheduled")
        if found is not None and found.status == "False":
            yield f"pod {pod.name}: {message(found.message)}"


def _lost(claim: PersistentVolumeClaim) -> Trouble:
    volume = (claim.spec and claim.spec.volume_name) or ""
    return Trouble(
        claim,
        f"Lost: its volume {volume or 'of old'} is gone, and what was on it cannot be reached",
        "Bound",
        facts={"volume": volume} if volume else {},
    )


def _stuck(claim: PersistentVolumeClaim, storage: Storage) -> Trouble | None:
    # Claims are deleted without a grace period, so that this is when somebody did it.
    deleted = claim.deletion_due
    if deleted is None or not storage.is_over(deleted):
        return None
    pods = storage.users_of(claim)
    held = f"pod {pods[0].name} still uses it{_and_more(len(pods))}, and loses it with its next restart" if pods else ""
    finalizers = ", ".join(claim.finalizers)
    return Trouble(
        claim,
        f"deleted {format_duration(storage.seconds(deleted))} ago and still there: "
        + (held or f"held by {finalizers or 'nothing that it names'}"),
        f"gone within {format_duration(storage.grace)}",
        deleted,
        facts={"stuck": claim.name} | ({"pod": pods[0].name} if pods else {}),
    )


def _unfinished(claim: PersistentVolumeClaim, storage: Storage) -> Trouble | None:
    for one in (claim.status and claim.status.conditions) or ():
        if one.type in _CHANGES and one.status == "True" and storage.is_over(one.last_transition_time):
            trouble = _change(claim, one, storage)
            if trouble is not None:
                return trouble
    return None


def _change(claim: PersistentVolumeClaim, one: Condition, storage: Storage) -> Trouble | None:
    pods = _waiting_pods(claim, storage)
    since = one.last_transition_time
    if since is None or (one.type in _AT_THE_MOUNT and not pods):
        return None
    owner = next((owner for pod in pods if (owner := top_owner(pod)).startswith(ROLLED_OUT)), "")
    return Trouble(
        claim,
        f"{one.type} for {format_duration(storage.seconds(since))}: {_CHANGES[one.type or '']}",
        f"done within {format_duration(storage.grace)}",
        since,
        messages(one.message),
        {"resize_rollout": owner} if owner and one.type in _AT_THE_MOUNT else {},
    )


def _first(pods: tuple[Pod, ...]) -> str:
    return pods[0].name if pods else ""


def _and_more(count: int) -> str:
    return f" and {count - 1} more" if count > 1 else ""
