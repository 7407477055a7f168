"""The images that pods run."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve
from opscheck.core.record import Finding
from opscheck.core.words import counted
from opscheck.systems.kubernetes.containers import Reported
from opscheck.systems.kubernetes.images import (
    HISTORY,
    MIXED,
    OTHER_IMAGE,
    OTHER_REGISTRY,
    PIN,
    ROLLOUT,
    SET_IMAGE,
    UNPINNED,
    ImageReference,
    ImagesPinned,
    parse_image,
)
from opscheck.systems.kubernetes.objects import owner_reference
from opscheck.systems.kubernetes.pod_groups import PodGroup, by_workload, in_force, judged_containers, nothing_judged
from opscheck.systems.kubernetes.pods import MISSING_PODS, ListPods, Pod
from opscheck.systems.kubernetes.selection import count_matches, listed, matching, missing_facts
from opscheck.systems.kubernetes.words import lasting, longer_than


def test_the_images_are_pinned(expectation: ImagesPinned, observe: Observe, findings: Findings) -> None:
    """
    The selected pods run the expected, pinned images, the same in all replicas.

    The meaning of `latest` changes with every push: two replicas answer differently, a restart is an unplanned upgrade,
    and there is no version to roll back to.
    """
    queries = expectation.lists(ListPods)
    there = listed(observe, queries)
    pods = in_force(matching(expectation, there))
    count_matches(expectation, there, pods, findings, kind="pods", remedy=MISSING_PODS)
    used: list[Use] = []
    for group in by_workload(pods):
        found = uses(expectation, group)
        used += found
        findings.report_all(violations(expectation, group, found, observe.now))
    findings.measure("images", len({use.image for use in used}), subject=expectation.selected)
    if pods and not used:
        raise CouldNotObserve(queries[0], nothing_judged())
    names = {use.container.name for use in used}
    for glob, image in (expectation.expected or {}).items() if pods else ():
        if not any(fnmatchcase(name, glob) for name in names):
            findings.add(
                subject=expectation.selected,
                observed=f"no container is named {glob}",
                expected=f"a container {glob} with image {image}",
                remedies=[MISSING_PODS],
                facts=missing_facts(expectation, "pods"),
            )


@dataclass(frozen=True)
class Use:
    """One container of one pod, and its image."""

    pod: Pod
    container: Reported
    text: str
    image: ImageReference


def uses(expectation: ImagesPinned, group: PodGroup) -> tuple[Use, ...]:
    """The images of all judged containers."""
    return tuple(
        Use(pod, container, container.spec.image, parse_image(container.spec.image))
        for pod in group.pods
        for container in judged_containers(pod, expectation.ignore_containers)
        if container.spec.image
    )


def violations(expectation: ImagesPinned, group: PodGroup, found: tuple[Use, ...], now: datetime) -> Iterator[Finding]:
    """The problems of one workload's images, one finding for each broken limit."""
    yield from _unpinned(expectation, group, found)
    yield from _from_elsewhere(expectation, group, found)
    differing = tuple(_differing(expectation, group, found, now))
    yield from differing
    if not differing:
        yield from _mixed(expectation, group, found, now)


def _unpinned(expectation: ImagesPinned, group: PodGroup, found: tuple[Use, ...]) -> Iterator[Finding]:
    if expectation.digest == "required":
        bad, wanted = [use for use in found if use.image.digest is None], "named by a digest, @sha256:..."
    elif expectation.latest == "forbidden":
        bad, wanted = [use for use in found if use.image.is_latest], "a tag with the version, or a digest"
    else:
        return
    if bad:
        running = _running_image(found, bad[0]) if group.rolled_out else ""
        remedies = [UNPINNED, PIN] if running else [UNPINNED]
        yield _finding(expectation, group, bad, {"running_image": running}, expected=wanted, remedies=remedies)


def _from_elsewhere(expectation: ImagesPinned, group: PodGroup, found: tuple[Use, ...]) -> Iterator[Finding]:
    places = expectation.registries or ()
    bad = [use for use in found if not any(use.image.is_from(place) for place in places)]
    if places and bad:
        wanted = f"images from {' or '.join(places)}"
        yield _finding(expectation, group, bad, expected=wanted, remedies=[OTHER_REGISTRY])


def _differing(expectation: ImagesPinned, group: PodGroup, found: tuple[Use, ...], now: datetime) -> Iterator[Finding]:
    for glob, text in (expectation.expected or {}).items():
        wanted = parse_image(text)
        meant = [use for use in found if fnmatchcase(use.container.name, glob)]
        bad = [use for use in meant if not use.image.is_as(wanted)]
        since = _first_of(use for use in meant if use.image.is_as(wanted))
        if bad and longer_than(expectation.grace, since, now):
            remedies = [OTHER_IMAGE]
            if group.rolled_out:
                remedies += [HISTORY, SET_IMAGE] if wanted.tag or wanted.digest else [HISTORY]
            facts, because = {"expected_image": text}, _owner(expectation, group)
            yield _finding(
                expectation, group, bad, facts, expected=text, since=since, remedies=remedies, because=because
            )


def _mixed(expectation: ImagesPinned, group: PodGroup, found: tuple[Use, ...], now: datetime) -> Iterator[Finding]:
    if expectation.mixed is None or not group.owner or group.is_of_jobs:
        return
    by_container: dict[str, dict[ImageReference, list[Use]]] = {}
    for use in found:
        by_container.setdefault(use.container.name, {}).setdefault(use.image, []).append(use)
    for by_image in by_container.values():
        # From the first pod with the newest image; replaced pods do not restart the time.
        since = max((first for one in by_image.values() if (first := _first_of(one))), default=None)
        if len(by_image) < 2 or not longer_than(expectation.grace, since, now):
            continue
        alike = [use for one in by_image.values() for use in one]
        ranked = sorted(by_image.values(), key=lambda one: (-len(one), one[0].text))
        images = ", ".join(f"{one[0].text} in {counted(len(one), 'pod')}" for one in ranked)
        yield _finding(
            expectation,
            group,
            alike,
            observed=f"{alike[0].container.called} runs {len(by_image)} images{lasting(since, now)}: {images}",
            expected=f"one image in all pods, at most {expectation.grace} after the start of a rollout",
            since=since,
            remedies=[MIXED, ROLLOUT] if group.rolled_out else [MIXED],
            because=_owner(expectation, group),
        )


def _first_of(found: Iterable[Use]) -> datetime | None:
    return min((use.pod.created for use in found if use.pod.created), default=None)


def _described(use: Use) -> str:
    meaning = ", which means latest" if use.image.is_latest and use.image.tag is None else ""
    return f"{use.container.called} runs {use.text}{meaning}"


def _owner(expectation: ImagesPinned, group: PodGroup) -> tuple[str, ...]:
    """The workload, whose failed rollout would explain the finding."""
    return tuple(filter(None, [owner_reference(expectation.target, group.pods[0])]))


def _finding(
    expectation: ImagesPinned,
    group: PodGroup,
    bad: list[Use],
    facts: Mapping[str, str] | None = None,
    *,
    observed: str = "",
    **given: Any,
) -> Finding:
    first = min(bad, key=lambda use: (use.container.name, use.pod.name))
    return expectation.finding(
        subject=expectation.subject(group.pods[0], group.owner),
        observed=observed or "; ".join(sorted(set(map(_described, bad)))),
        evidence=[group.named(use.pod for use in bad)],
        facts={**first.pod.facts, "container": first.container.name, **(facts or {})},
        **given,
    )


def _running_image(found: Iterable[Use], bad: Use) -> str:
    """The digest that all pods run in that container; empty if they differ, or without a digest."""
    ids = {use.container.status.image_id or "" for use in found if use.container.name == bad.container.name}
    (one, *others) = ids
    # Docker Engine adds a scheme, and an image that was built on the node has no digest to pull it by.
    running = one.removeprefix("docker-pullable://")
    return running if not others and parse_image(running).digest else ""
