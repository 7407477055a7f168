"""The objects that an expectation selects, and evidence for too few of them."""

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
"""Expectations of objects that are selected by label and name, and of their number."""
_MAY_NOT_EXIST = "the namespace may not exist"


def listed(observe: Observe, queries: Iterable[ListObjects[T]]) -> tuple[T, ...]:
    """The objects of several lists together. Raises CouldNotObserve."""
    return tuple(item for query in queries for item in observe(query).items)


@dataclass(frozen=True)
class Evidence(Generic[T]):
    """Objects that are only evidence, and the reason why some of them could not be read."""

    items: tuple[T, ...] = ()
    unread: str = ""


def listed_evidence(observe: Observe, queries: Iterable[ListObjects[T]]) -> Evidence[T]:
    """The readable objects of several lists; no verdict may depend on them."""
    items, unread = list[T](), ""
    for query in queries:
        answer = observe.evidence(query)
        if isinstance(answer, Problem):
            unread = unread or f"{query.called} could not be read: {answer.text}"
        else:
            items += answer.items
    return Evidence(tuple(items), unread)


def matching(expectation: Selecting, objects: Iterable[K]) -> tuple[K, ...]:
    """The objects that match the selector and the name and are not excluded, sorted by namespace and name."""
    selector = parse_selector(expectation.selector)
    chosen = (one for one in objects if selector.matches(one.labels) and _is_named(expectation, one.name))
    return tuple(sorted(chosen, key=lambda one: (one.namespace, one.name)))


def _is_named(expectation: Selecting, name: str) -> bool:
    if any(fnmatchcase(name, glob) for glob in expectation.excluded):
        return False
    return expectation.name is None or fnmatchcase(name, expectation.name)


def count_matches(  # noqa: PLR0913 - the counted objects, and by name the parts of the finding
    expectation: Selecting,
    there: Sequence[KubernetesObject],
    matched: Sequence[KubernetesObject],
    findings: Findings,
    *,
    kind: str = "",
    remedy: Remedy | None = None,
) -> None:
    """
    Compare the number of objects with the minimum; a finding lists the existing objects.

    `kind` is their name; by default the part of the check's name after the dot. `remedy` comes from `missing_remedy`.
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
    """The facts for the command of `missing_remedy`."""
    missing = expectation.selector or expectation.name or f"any {kind.removesuffix('s')}"
    if not isinstance(expectation, InNamespaces):
        return {"missing": missing}
    only = expectation.only_namespace
    return {"missing": missing, "namespace_option": ("-n", only) if only else ("-A",)}


def there_instead(expectation: Selecting, there: Sequence[KubernetesObject], counted: str) -> Iterator[str]:
    """The existing objects, `counted` in words: `no pods`, `3 pods`; with the labels and names of the selection."""
    if not there:
        hint = f"; {_MAY_NOT_EXIST}" if isinstance(expectation, InNamespaces) else ""
        yield f"{expectation.where} has {counted}{hint}"
        return
    yield f"{expectation.where} has {counted}"
    yield from labels_there(parse_selector(expectation.selector).keys, there)
    if expectation.name is not None or expectation.excluded:
        yield f"existing names: {_most_frequent(one.name for one in there)}"


def labels_there(keys: Iterable[str], there: Sequence[KubernetesObject]) -> Iterator[str]:
    """The existing values of each of these labels, the most frequent first."""
    for key in keys:
        yield f"values of label {key}: {_most_frequent(one.labels.get(key, '(none)') for one in there)}"


def _most_frequent(values: Iterable[str]) -> str:
    ranked = sorted(Counter(values).items(), key=lambda item: (-item[1], item[0]))
    return some(f"{value} ({count})" for value, count in ranked)
