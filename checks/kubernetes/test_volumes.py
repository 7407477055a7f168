"""The storage that a cluster's pods have claimed."""

from collections.abc import Sequence

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve, Problem
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.systems.kubernetes.readings.volume_usage import Measured, Use, from_prometheus, unjudged, use_of
from opscheck.systems.kubernetes.readings.volumes import (
    Storage,
    claim_reference,
    depends_on_its_class,
    phase,
    trouble_of,
    users_of_claims,
)
from opscheck.systems.kubernetes.remedies import place_facts
from opscheck.systems.kubernetes.selection import count_matches, listed, matching
from opscheck.systems.kubernetes.troubles import tell
from opscheck.systems.kubernetes.volumes import ListClaims, PersistentVolumeClaim, VolumesHealthy
from opscheck.systems.kubernetes.warnings import Warnings


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
    findings.measure("bound volumes", sum(phase(claim) == "Bound" for claim in claims), subject=expectation.selected)
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
