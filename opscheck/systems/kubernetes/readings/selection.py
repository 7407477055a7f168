"""Which pods an expectation means, which of them count, and what is there instead when they are too few."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from opscheck.core.words import counted
from opscheck.systems.kubernetes.label_selectors import parse_selector
from opscheck.systems.kubernetes.owners import is_of_job
from opscheck.systems.kubernetes.pod_status import is_ready, phase
from opscheck.systems.kubernetes.pods import Pod, PodsHealthy
from opscheck.systems.kubernetes.selection import _LOOKS_THE_SAME, _most_frequent, labels_there, matching


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
    there = tuple(pods)
    matched = matching(expectation, there)
    counted = tuple(pod for pod in matched if not _left_out(pod, count_completed=expectation.count_completed))
    return Selection(there, matched, counted)


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
