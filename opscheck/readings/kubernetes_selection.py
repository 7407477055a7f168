"""Which pods an expectation means, which of them count, and what is there instead when they are too few."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from opscheck.expectations.kubernetes import PodsHealthy
from opscheck.queries.kubernetes import Pod
from opscheck.queries.kubernetes_owners import is_of_job
from opscheck.queries.label_selectors import parse_selector
from opscheck.readings.kubernetes_pods import is_ready, is_terminating, phase

_NAMED = 5


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


def select_pods(expectation: PodsHealthy, pods: Iterable[Pod]) -> Selection:
    """What `expectation` means of `pods`."""
    there, selector = tuple(pods), parse_selector(expectation.selector)
    matched = tuple(
        sorted(
            (pod for pod in there if selector.matches(pod.labels) and _is_named(pod, expectation.name)),
            key=lambda pod: (pod.namespace, pod.name),
        )
    )
    counted = tuple(pod for pod in matched if not _left_out(pod, count_completed=expectation.count_completed))
    return Selection(there, matched, counted)


def _is_named(pod: Pod, pattern: str | None) -> bool:
    return pattern is None or fnmatchcase(pod.name, pattern)


def _left_out(pod: Pod, *, count_completed: bool) -> str:
    """Why a pod does not count as a match; empty when it does."""
    if is_terminating(pod):
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
    where = f"namespace {expectation.listed_namespace}" if expectation.listed_namespace else "the cluster"
    if not selection.there:
        yield f"{where} has no pod at all; to an API server a namespace that does not exist looks the same"
        return
    yield f"{where} has {_pods(len(selection.there))}"
    for key in parse_selector(expectation.selector).keys:
        yield f"label {key} there: {_most_frequent(pod.labels.get(key, '(none)') for pod in selection.there)}"
    if expectation.name is not None:
        yield f"names there: {_most_frequent(pod.name for pod in selection.there)}"


def _most_frequent(values: Iterable[str]) -> str:
    ranked = sorted(Counter(values).items(), key=lambda item: (-item[1], item[0]))
    more = f" and {len(ranked) - _NAMED} more" if len(ranked) > _NAMED else ""
    return ", ".join(f"{value} ({count})" for value, count in ranked[:_NAMED]) + more


def _pods(count: int) -> str:
    return "1 pod" if count == 1 else f"{count} pods"
