"""Which pods an expectation means, which of them count, and what is there instead when they are too few."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Generic, Protocol, TypeVar

from opscheck.core.findings import Findings, Observe
from opscheck.core.observation import Problem
from opscheck.core.words import counted, some
from opscheck.systems.kubernetes.expectations.base import InNamespaces
from opscheck.systems.kubernetes.expectations.pods import PodsHealthy
from opscheck.systems.kubernetes.lists import ListObjects
from opscheck.systems.kubernetes.queries.label_selectors import parse_selector
from opscheck.systems.kubernetes.queries.objects import KubernetesObject
from opscheck.systems.kubernetes.queries.owners import is_of_job
from opscheck.systems.kubernetes.queries.pods import Pod
from opscheck.systems.kubernetes.readings.pods import is_ready, phase

T = TypeVar("T")
K = TypeVar("K", bound=KubernetesObject)

_LOOKS_THE_SAME = "to an API server a namespace that does not exist looks the same"


class Selecting(Protocol):
    """An expectation of objects that are selected by their labels and their names, and of how many there are."""

    @property
    def check(self) -> str:
        """Which check judges it."""
        ...

    @property
    def selector(self) -> str | None:
        """The labels; None is any."""
        ...

    @property
    def name(self) -> str | None:
        """The glob for names; None is any."""
        ...

    @property
    def min_matches(self) -> int:
        """How many there must be."""
        ...

    @property
    def where(self) -> str:
        """Where it looks, in words."""
        ...

    @property
    def selected(self) -> str:
        """What is looked at, in words."""
        ...


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


def listed(observe: Observe, queries: Iterable[ListObjects[T]]) -> tuple[T, ...]:
    """The objects of several lists, which may be of several namespaces, as one. Raises CouldNotObserve."""
    return tuple(item for query in queries for item in observe(query).items)


@dataclass(frozen=True)
class Beside(Generic[T]):
    """Objects that are evidence only, and why some of them could not be read."""

    items: tuple[T, ...] = ()
    unread: str = ""


def listed_aside(observe: Observe, queries: Iterable[ListObjects[T]]) -> Beside[T]:
    """The objects of several lists, as far as they can be read; no verdict may stand on them."""
    items: list[T] = []
    unread: list[str] = []
    for query in queries:
        answer = observe.aside(query)
        if isinstance(answer, Problem):
            unread.append(f"{query.called} could not be read: {answer.text}")
        else:
            items += answer.items
    return Beside(tuple(items), next(iter(unread), ""))


def matching(expectation: Selecting, objects: Iterable[K]) -> tuple[K, ...]:
    """Those that the selector and the name mean, in the order of their namespaces and names."""
    selector = parse_selector(expectation.selector)
    chosen = (one for one in objects if selector.matches(one.labels) and _is_named(one, expectation.name))
    return tuple(sorted(chosen, key=lambda one: (one.namespace, one.name)))


def count_matches(  # noqa: PLR0913 - what is counted, and by name what is said of it
    expectation: Selecting,
    there: Sequence[KubernetesObject],
    matched: Sequence[KubernetesObject],
    findings: Findings,
    *,
    kind: str = "",
    facts: Mapping[str, str] | None = None,
) -> None:
    """
    Hold the number of objects to what there must be, and tell what there is instead of those that are missing.

    `kind` is what they are called; by default what the check is called after its dot. `facts` are for the finding.
    """
    kind, least = kind or _plural_of(expectation), expectation.min_matches
    findings.measure(kind, len(matched), subject=expectation.selected, limit=least, margin=len(matched) - least)
    if len(matched) < least:
        findings.add(
            subject=expectation.selected,
            observed=f"{len(matched)} {kind}",
            expected=f"at least {least}",
            evidence=_there_instead(expectation, there, kind),
            facts=facts,
        )


def _plural_of(expectation: Selecting) -> str:
    return expectation.check.partition(".")[2]


def _there_instead(expectation: Selecting, there: Sequence[KubernetesObject], kind: str) -> Iterator[str]:
    if not there:
        hint = f"; {_LOOKS_THE_SAME}" if isinstance(expectation, InNamespaces) else ""
        yield f"{expectation.where} has no {kind} at all{hint}"
        return
    yield f"{expectation.where} has {len(there)} {kind}"
    yield from labels_there(parse_selector(expectation.selector).keys, there)
    if expectation.name is not None:
        yield f"names there: {_most_frequent(one.name for one in there)}"


def select_pods(expectation: PodsHealthy, pods: Iterable[Pod]) -> Selection:
    """What `expectation` means of `pods`."""
    there = tuple(pods)
    matched = matching(expectation, there)
    counted = tuple(pod for pod in matched if not _left_out(pod, count_completed=expectation.count_completed))
    return Selection(there, matched, counted)


def _is_named(one: KubernetesObject, pattern: str | None) -> bool:
    return pattern is None or fnmatchcase(one.name, pattern)


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


def labels_there(keys: Iterable[str], there: Sequence[KubernetesObject]) -> Iterator[str]:
    """The values that each of these labels has, the most frequent first."""
    for key in keys:
        yield f"label {key} there: {_most_frequent(one.labels.get(key, '(none)') for one in there)}"


def _most_frequent(values: Iterable[str]) -> str:
    ranked = sorted(Counter(values).items(), key=lambda item: (-item[1], item[0]))
    return some(f"{value} ({count})" for value, count in ranked)
