"""Rollouts of deployments, stateful sets and daemon sets: the expectation, and the gaps of a workload."""

from collections.abc import Iterable, Iterator
from enum import Enum, auto
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from opscheck.core.query import Query
from opscheck.core.remedy import Former
from opscheck.core.units import Duration, Severity
from opscheck.core.words import counted
from opscheck.systems.kubernetes.lists import ListObjects
from opscheck.systems.kubernetes.objects import condition
from opscheck.systems.kubernetes.pods import FORMER_POD_FACTS, POD_FACTS, POD_REMEDIES, RESTART, ROLL_BACK, ListPods
from opscheck.systems.kubernetes.scope import OfKind, kubectl, missing_remedy
from opscheck.systems.kubernetes.workloads import ListDaemonSets, ListDeployments, ListStatefulSets, Progress

Kind = Literal["deployments", "statefulsets", "daemonsets"]
Kinds = Annotated[tuple[Kind, ...], Field(min_length=1), AfterValidator(lambda kinds: tuple(dict.fromkeys(kinds)))]
_LISTS: dict[Kind, type[ListObjects[Any]]] = {
    "deployments": ListDeployments,
    "statefulsets": ListStatefulSets,
    "daemonsets": ListDaemonSets,
}
STATUS = kubectl("Check the rollout's progress", "rollout status {{ owner }} --watch=false", "describe {{ owner }}")
REPORT = kubectl("Read the workload's status and events", "describe {{ owner }}")
DELETE_BLOCKING = kubectl(
    "Delete the pod that blocks the others, after the rollback",
    "delete pod {{ pod }}  # after the undo: the controller does not replace a broken pod",
)
RESUME = kubectl("Resume the rollout", "rollout resume {{ owner }}")
QUOTA = kubectl("Free space in the quota, or raise it", "describe quota  # find the full one that blocks {{ owner }}")
FEWER_PODS = kubectl(
    "Otherwise run as many pods as the quota allows",
    "scale {{ owner }} --replicas={{ fitting }}  # if the quota stays",
)
REFUSED = kubectl(
    "Find out what refuses the pods, and correct it or the workload",
    "get events --field-selector=reason=FailedCreate  # look for pods of {{ owner }}",
)
MISPLACED = kubectl(
    "Find the pods on the wrong nodes",
    "get pods -o wide  # look for pods of {{ owner }} on unselected nodes",
)
UNSEEN = kubectl(
    "Check that kube-controller-manager works",
    "get lease kube-controller-manager -n kube-system  # the controller of {{ owner }} renews it",
)
MISSING_WORKLOADS = missing_remedy("deployments,statefulsets,daemonsets")


class RolloutComplete(OfKind, check="kubernetes.rollout"):
    """
    Every selected workload is rolled out: all pods are updated and available.

    The observed generation, updated and available pods and the Progressing condition are compared, by kind and update
    strategy. A rollout younger than `grace` may still be in progress.
    """

    explains_others = True
    remedies = (
        *POD_REMEDIES,
        STATUS,
        REPORT,
        ROLL_BACK,
        DELETE_BLOCKING,
        RESTART,
        RESUME,
        QUOTA,
        FEWER_PODS,
        REFUSED,
        MISPLACED,
        UNSEEN,
        MISSING_WORKLOADS,
    )
    fact_names = (
        OfKind.fact_names
        | POD_FACTS
        | {"owner": "the workload, such as deployment/api", "fitting": "the number of its pods"}
    )
    former_fact_names = (
        OfKind.former_fact_names
        | FORMER_POD_FACTS
        | {
            "workload": Former("owner"),
            "rolling": Former("owner", STATUS),
            "paused": Former("owner", RESUME),
            "blocking": Former("pod", DELETE_BLOCKING),
            "over_quota": Former("owner", QUOTA),
            "refused": Former("owner", REFUSED),
            "misplaced": Former("owner", MISPLACED),
            "unseen": Former("owner", UNSEEN),
        }
    )

    workloads: Kinds = get_args(Kind)
    """The kinds of workloads: `deployments`, `statefulsets`, `daemonsets`; all three by default."""
    while_serving: Severity | None = None
    """
    Severity while enough pods serve, as the old version does when a new one fails to start.

    By default one step lower than `severity`. A deployment has enough pods when it reports `Available`. The other
    kinds, and a deployment without that condition, need more than half of their pods.
    """
    allow_paused: bool = True
    """Allow paused deployments without a pending change."""
    grace: Duration = Duration.parse("15m")
    """
    Maximum time in which a rollout may make no progress, or a pod may be missing.

    A deployment that exceeds its own `progressDeadlineSeconds` is a violation immediately.
    """

    @model_validator(mode="after")
    def _serving_is_no_worse(self) -> Self:
        if self.severity and self.while_serving and self.while_serving < self.severity:
            raise PydanticCustomError(
                "while_serving",
                "a severity no higher than `severity` ({severity}), which is for workloads that do not serve",
                {"severity": str(self.severity)},
            )
        return self

    @property
    def serving_severity(self) -> Severity:
        """The severity of an unfinished rollout while enough pods serve."""
        every = list(Severity)
        lower = every[min(every.index(self.ungraded_severity) + 1, len(every) - 1)]
        return self.while_serving or lower

    @property
    def called(self) -> str:
        return self.workloads[0] if len(self.workloads) == 1 else "workloads"

    def workload_lists(self) -> tuple[ListObjects[Any], ...]:
        return tuple(one for kind, lists in _LISTS.items() if kind in self.workloads for one in self.lists(lists))

    def queries(self) -> Iterable[Query[Any]]:
        """The workloads, and the pods, which show the causes."""
        return *self.workload_lists(), *self.lists(ListPods)


DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"


class Gap(Enum):
    """A reason why a rollout is not complete; each has its own grace and remedy."""

    UNSEEN = auto()
    PAUSED = auto()
    FAILED = auto()
    OUTDATED = auto()
    LEFT_OVER = auto()
    UNAVAILABLE = auto()
    MISPLACED = auto()


def gaps(progress: Progress, *, allow_paused: bool) -> Iterator[Gap]:
    """The reasons why the rollout is not complete, in the order of judging; nothing when it is complete."""
    if progress.generation > progress.observed_generation:
        yield Gap.UNSEEN  # the status describes an older spec
        return
    if progress.paused:
        if progress.changes or not allow_paused:
            yield Gap.PAUSED
    elif (progressing := condition(progress.conditions, "Progressing")) and progressing.reason == DEADLINE_EXCEEDED:
        yield Gap.FAILED
    elif progress.updated < progress.to_update:
        yield Gap.OUTDATED
    elif progress.left_over:
        yield Gap.LEFT_OVER
    if progress.missing:
        yield Gap.UNAVAILABLE
    if progress.misplaced:
        yield Gap.MISPLACED


def described(progress: Progress, gap: Gap) -> tuple[str, str]:
    """Observed and expected state: `1 of 3 pods available`, `3 pods available`."""
    updated = "" if progress.on_delete else " updated and"
    complete = f"{counted(progress.wanted, 'pod')}{updated} available" if progress.wanted else "no pods"
    match gap:
        case Gap.UNSEEN:
            seen = f"controller has observed generation {progress.observed_generation} of {progress.generation}"
            return seen, f"generation {progress.generation} observed"
        case Gap.PAUSED if progress.changes:
            return f"paused with a pending change: {_versions(progress)}", "no pending change while paused"
        case Gap.PAUSED:
            return "paused", "not paused"
        case Gap.MISPLACED:
            pods = counted(progress.misplaced, "pod")
            return f"{pods} on unselected nodes", "pods only on selected nodes"
        case Gap.UNAVAILABLE:
            return _available(progress), complete
    state = f"rollout failed ({DEADLINE_EXCEEDED})" if gap is Gap.FAILED else "rollout makes no progress"
    return f"{state}: {_versions(progress)}, {_available(progress)}", complete


def _versions(progress: Progress) -> str:
    if progress.updated < progress.to_update:
        return f"{progress.updated} of {counted(progress.to_update, 'pod')} updated"
    left = f", {counted(progress.left_over, 'pod')} of an old revision left" if progress.left_over else ""
    return f"all updated{left}"


def _available(progress: Progress) -> str:
    # During a rollout there may be more pods than at its end.
    return f"{min(progress.available, progress.wanted)} of {counted(progress.wanted, 'pod')} available"
