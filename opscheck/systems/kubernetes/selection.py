"""Which objects an expectation selects, and what is there instead where they are too few."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from opscheck.core.findings import Findings, Observe
from opscheck.core.observation import Problem
from opscheck.core.remedy import Fact, Remedy
from opscheck.core.words import some
from opscheck.systems.kubernetes.label_selectors import parse_selector
from opscheck.systems.kubernetes.lists import ListObjects
from opscheck.systems.kubernetes.objects import KubernetesObject
from opscheck.systems.kubernetes.scope import InNamespaces, Matched

if TYPE_CHECKING:
    from opscheck.systems.kubernetes.nodes import NodesHealthy

T = TypeVar("T")
K = TypeVar("K", bound=KubernetesObject)
Selecting: TypeAlias = "Matched | NodesHealthy"
"""Expectations of objects that are selected by their labels and their names, and of how many there are."""
_LOOKS_THE_SAME = "to an API server a namespace that does not exist looks the same"


def listed(observe: Observe, queries: Iterable[ListObjects[T]]) -> tuple[T, ...]:
    """The objects of several lists, which may be of several namespaces, as one. Raises CouldNotObserve."""
    return tuple(item for query in queries for item in observe(query).items)


@dataclass(frozen=True)
class Evidence(Generic[T]):
    """Objects that are evidence only, and why some of them could not be read."""

    items: tuple[T, ...] = ()
    unread: str = ""


def listed_evidence(observe: Observe, queries: Iterable[ListObjects[T]]) -> Evidence[T]:
    """The objects of several lists, as far as they can be read; no verdict may stand on them."""
    items, unread = list[T](), ""
    for query in queries:
        answer = observe.evidence(query)
        if isinstance(answer, Problem):
            unread = unread or f"{query.called} could not be read: {answer.text}"
        else:
            items += answer.items
    return Evidence(tuple(items), unread)


def matching(expectation: Selecting, objects: Iterable[K]) -> tuple[K, ...]:
    """Those that the selector and the name mean, in the order of their namespaces and names."""
    selector, name = parse_selector(expectation.selector), expectation.name
    chosen = (one for one in objects if selector.matches(one.labels) and (name is None or fnmatchcase(one.name, name)))
    return tuple(sorted(chosen, key=lambda one: (one.namespace, one.name)))


def count_matches(  # noqa: PLR0913 - what is counted, and by name what is said of it
    expectation: Selecting,
    there: Sequence[KubernetesObject],
    matched: Sequence[KubernetesObject],
    findings: Findings,
    *,
    kind: str = "",
    remedy: Remedy | None = None,
) -> None:
    """
    Compare the number of objects with the minimum; a finding contains what is there instead of those that are missing.

    `kind` is what they are called; by default what the check is called after its dot. `remedy` is one that
    `missing_remedy` made.
    """
    kind, least = kind or expectation.check.partition(".")[2], expectation.min_matches
    findings.measure(kind, len(matched), subject=expectation.selected, limit=least, margin=len(matched) - least)
    if len(matched) < least:
        findings.add(
            subject=expectation.selected,
            observed=f"{len(matched)} {kind}",
            expected=f">= {least}",
            evidence=there_instead(expectation, there, f"{len(there) or 'no'} {kind}"),
            remedies=(remedy,) if remedy else (),
            facts=missing_facts(expectation, kind) if remedy else {},
        )


def missing_facts(expectation: Selecting, kind: str) -> dict[str, Fact]:
    """What the command of `missing_remedy` names."""
    missing = expectation.selector or expectation.name or f"any {kind.removesuffix('s')}"
    if not isinstance(expectation, InNamespaces):
        return {"missing": missing}
    only = expectation.only_namespace
    return {"missing": missing, "namespace_option": ("-n", only) if only else ("-A",)}


def there_instead(expectation: Selecting, there: Sequence[KubernetesObject], counted: str) -> Iterator[str]:
    """What is there, `counted` in words: `no pods`, `3 pods`, with their labels and names where those select."""
    if not there:
        hint = f"; {_LOOKS_THE_SAME}" if isinstance(expectation, InNamespaces) else ""
        yield f"{expectation.where} has {counted} at all{hint}"
        return
    yield f"{expectation.where} has {counted}"
    yield from labels_there(parse_selector(expectation.selector).keys, there)
    if expectation.name is not None:
        yield f"names there: {_most_frequent(one.name for one in there)}"


def labels_there(keys: Iterable[str], there: Sequence[KubernetesObject]) -> Iterator[str]:
    """The values that each of these labels has, the most frequent first."""
    for key in keys:
        yield f"label {key} there: {_most_frequent(one.labels.get(key, '(none)') for one in there)}"


def _most_frequent(values: Iterable[str]) -> str:
    ranked = sorted(Counter(values).items(), key=lambda item: (-item[1], item[0]))
    return some(f"{value} ({count})" for value, count in ranked)
