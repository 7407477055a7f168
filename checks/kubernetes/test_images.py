"""The images that pods run."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve
from opscheck.core.words import counted
from opscheck.systems.kubernetes.containers import Reported
from opscheck.systems.kubernetes.images import ImageReference, ImagesPinned, parse_image
from opscheck.systems.kubernetes.owners import ROLLED_OUT, owner_reference
from opscheck.systems.kubernetes.pod_groups import (
    PodGroup,
    by_workload,
    called,
    in_force,
    judged_containers,
    named,
    nothing_judged,
)
from opscheck.systems.kubernetes.pods import ListPods, Pod
from opscheck.systems.kubernetes.remedies import place_facts, too_few_facts
from opscheck.systems.kubernetes.selection import count_matches, listed, matching
from opscheck.systems.kubernetes.words import lasting, longer_than


def test_the_images_are_pinned(expectation: ImagesPinned, observe: Observe, findings: Findings) -> None:
    """
    The selected pods run the images they should: named exactly, from known registries, the same in all replicas.

    What `latest` means changes with every push: two replicas of one workload answer differently, a restart is an
    upgrade that nobody planned, and there is no version to roll back to.
    """
    queries = expectation.ask(ListPods)
    there = listed(observe, queries)
    pods = in_force(matching(expectation, there))
    count_matches(expectation, there, pods, findings, kind="pods", facts=too_few_facts(expectation))
    used: list[Use] = []
    for group in by_workload(pods):
        found = uses(expectation, group)
        used += found
        for trouble in troubles(expectation, group, found, observe.now):
            tell(expectation, trouble, findings)
    findings.measure("images", len({use.image for use in used}), subject=expectation.selected)
    if pods and not used:
        raise CouldNotObserve(queries[0], nothing_judged())
    for glob in without_containers(expectation, used) if pods else ():
        findings.add(
            subject=expectation.selected,
            observed=f"no container is called {glob}",
            expected=f"a container {glob} with image {(expectation.expected or {})[glob]}",
            facts=too_few_facts(expectation),
        )


@dataclass(frozen=True)
class Use:
    """One container of one pod, and its image."""

    pod: Pod
    container: Reported
    text: str
    image: ImageReference


@dataclass(frozen=True)
class Trouble:
    """What is wrong with the images of one workload."""

    group: PodGroup
    observed: str
    expected: str
    evidence: tuple[str, ...]
    facts: Mapping[str, str]
    since: datetime | None = None
    of_rollout: bool = False
    """True when a rollout that went wrong would explain it."""


def uses(expectation: ImagesPinned, group: PodGroup) -> tuple[Use, ...]:
    """The images of all containers of the pods that are judged."""
    return tuple(
        Use(pod, container, container.spec.image, parse_image(container.spec.image))
        for pod in group.pods
        for container in judged_containers(pod, expectation.ignore_containers)
        if container.spec.image
    )


def troubles(expectation: ImagesPinned, group: PodGroup, found: tuple[Use, ...], now: datetime) -> Iterator[Trouble]:
    """Everything that is wrong with the images of one workload, one trouble for each limit they break."""
    yield from _unpinned(expectation, group, found)
    yield from _from_elsewhere(expectation, group, found)
    differing = tuple(_differing(expectation, group, found, now))
    yield from differing
    if not differing:
        yield from _mixed(expectation, group, found, now)


def _unpinned(expectation: ImagesPinned, group: PodGroup, found: tuple[Use, ...]) -> Iterator[Trouble]:
    if expectation.digest == "required":
        bad, wanted = [use for use in found if use.image.digest is None], "named by a digest, @sha256:..."
    elif expectation.latest == "forbidden":
        bad, wanted = [use for use in found if use.image.is_latest], "a tag that says which version it is, or a digest"
    else:
        return
    if bad:
        running = _running_image(found, bad[0])
        remedy = {"unpinned": group.owner, "running_image": running} if running else {}
        yield _trouble(group, bad, _each(bad), wanted, remedy)


def _from_elsewhere(expectation: ImagesPinned, group: PodGroup, found: tuple[Use, ...]) -> Iterator[Trouble]:
    places = expectation.registries
    if places is None:
        return
    bad = [use for use in found if not any(use.image.is_from(place) for place in places)]
    if bad:
        yield _trouble(group, bad, _each(bad), f"images from {' or '.join(places)}", {})


def _differing(expectation: ImagesPinned, group: PodGroup, found: tuple[Use, ...], now: datetime) -> Iterator[Trouble]:
    for glob, text in (expectation.expected or {}).items():
        wanted = parse_image(text)
        meant = [use for use in found if fnmatchcase(use.container.name, glob)]
        bad = [use for use in meant if not use.image.is_as(wanted)]
        arrived = [use for use in meant if use.image.is_as(wanted)]
        since = _first_of(arrived)
        if not bad or not longer_than(expectation.grace, since, now):
            continue
        exact = wanted.tag or wanted.digest
        remedy = {"differing": group.owner} | ({"expected_image": text} if exact else {})
        yield _trouble(group, bad, _each(bad), text, remedy, since=since, of_rollout=True)


def _mixed(expectation: ImagesPinned, group: PodGroup, found: tuple[Use, ...], now: datetime) -> Iterator[Trouble]:
    if expectation.mixed is None or not group.owner or group.is_of_jobs:
        return
    by_container: dict[str, list[Use]] = {}
    for use in found:
        by_container.setdefault(use.container.name, []).append(use)
    for alike in by_container.values():
        by_image: dict[ImageReference, list[Use]] = {}
        for use in alike:
            by_image.setdefault(use.image, []).append(use)
        # Since the first pod with the image that came last; pods that were merely replaced do not begin it anew.
        since = max((first for one in by_image.values() if (first := _first_of(one))), default=None)
        if len(by_image) < 2 or not longer_than(expectation.grace, since, now):
            continue
        images = ", ".join(
            f"{one[0].text} in {counted(len(one), 'pod')}" for one in sorted(by_image.values(), key=_place)
        )
        observed = f"{called(alike[0].container)} runs {len(by_image)} images{lasting(since, now)}: {images}"
        wanted = f"one image in all pods, {expectation.grace} after a rollout began at the latest"
        yield _trouble(group, alike, observed, wanted, {"mixed_rollout": group.owner}, since=since, of_rollout=True)


def _first_of(found: Iterable[Use]) -> datetime | None:
    return min((use.pod.created for use in found if use.pod.created), default=None)


def _place(found: list[Use]) -> tuple[int, str]:
    return -len(found), found[0].text


def _each(bad: Iterable[Use]) -> str:
    return "; ".join(sorted({f"{called(use.container)} runs {use.text}{_meaning(use.image)}" for use in bad}))


def _meaning(image: ImageReference) -> str:
    return ", which means latest" if image.is_latest and image.tag is None else ""


def _trouble(  # noqa: PLR0913 - what a trouble is made of
    group: PodGroup,
    bad: list[Use],
    observed: str,
    expected: str,
    remedy: Mapping[str, str],
    *,
    since: datetime | None = None,
    of_rollout: bool = False,
) -> Trouble:
    first = min(bad, key=lambda use: (use.container.name, use.pod.name))
    facts = {
        "pod": first.pod.name,
        "looked_at": first.pod.name,
        "owner": group.owner,
        "container": first.container.name,
    }
    # Only what kubectl can roll out can be given another image.
    facts |= remedy if group.owner.startswith(ROLLED_OUT) else {}
    evidence = (named((use.pod for use in bad), len(group.pods)),)
    known = {name: value for name, value in facts.items() if value}
    return Trouble(group, observed, expected, evidence, known, since, of_rollout)


def _running_image(found: Iterable[Use], bad: Use) -> str:
    """The digest that all pods run in that container; empty where they differ, or where none is known."""
    ids = {use.container.status.image_id or "" for use in found if use.container.name == bad.container.name}
    (one, *others) = ids
    # Docker Engine puts a scheme before it, and what was built on the node has no digest to pull it by.
    running = one.removeprefix("docker-pullable://")
    return running if not others and parse_image(running).digest else ""


def without_containers(expectation: ImagesPinned, found: Iterable[Use]) -> Iterator[str]:
    """The globs of `expected` that no container of any selected pod has: what they expect is nowhere."""
    names = {use.container.name for use in found}
    for glob in expectation.expected or {}:
        if not any(fnmatchcase(name, glob) for name in names):
            yield glob


def tell(expectation: ImagesPinned, trouble: Trouble, findings: Findings) -> None:
    """One finding."""
    group = trouble.group
    explained = owner_reference(expectation.target, group.pods[0]) if trouble.of_rollout else ""
    findings.add(
        subject=expectation.subject(group.pods[0], group.owner),
        observed=trouble.observed,
        expected=trouble.expected,
        since=trouble.since,
        evidence=trouble.evidence,
        facts=place_facts(expectation.target, group.namespace) | dict(trouble.facts),
        because=(explained,) if explained else (),
    )
