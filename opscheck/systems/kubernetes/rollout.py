"""Rollouts of deployments, stateful sets and daemon sets: what is expected, and how far each workload is."""

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
STATUS = kubectl("See how far the rollout is", "rollout status {{ owner }} --watch=false", "describe {{ owner }}")
REPORT = kubectl("See what the workload reports", "describe {{ owner }}")
DELETE_BLOCKING = kubectl(
    "Delete the pod that the others wait for, once the workload is rolled back",
    "delete pod {{ pod }}  # after the undo: what is broken and not ready is not replaced by itself",
)
RESUME = kubectl("Resume the rollout", "rollout resume {{ owner }}")
QUOTA = kubectl("Make room in the quota, or raise it", "describe quota  # which one is used up by {{ owner }}?")
FEWER_PODS = kubectl(
    "Otherwise run as many pods as the quota allows",
    "scale {{ owner }} --replicas={{ fitting }}  # if the quota is to stay",
)
REFUSED = kubectl(
    "See what refuses the pods, and change that or the workload",
    "get events --field-selector=reason=FailedCreate  # what refuses the pods of {{ owner }}?",
)
MISPLACED = kubectl(
    "See which pods are on the wrong nodes",
    "get pods -o wide  # which pods of {{ owner }} are on nodes that it does not mean?",
)
UNSEEN = kubectl(
    "See whether kube-controller-manager works",
    "get lease kube-controller-manager -n kube-system  # does anybody look at {{ owner }}?",
)
MISSING_WORKLOADS = missing_remedy("deployments,statefulsets,daemonsets")


class RolloutComplete(OfKind, check="kubernetes.rollout"):
    """
    Every selected workload is rolled out: all pods are updated and available.

    The observed generation, updated and available pods and the Progressing condition are compared, by kind and update
    strategy. A rollout that is younger than `grace` may still be in progress.
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
        | {"owner": "the workload, such as deployment/api", "fitting": "how many of its pods there are now"}
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
    """Which kinds to look at: `deployments`, `statefulsets`, `daemonsets`; all three by default."""
    while_serving: Severity | None = None
    """
    How bad it is while enough pods serve all the same, as the old version does when a new one fails to start.

    One step milder than `severity` by default. Enough is what a deployment itself reports as `Available`; of the
    others, and of a deployment that reports nothing, more than half of the pods.
    """
    allow_paused: bool = True
    """Let deployments stay paused, as long as no change waits for them to be resumed."""
    grace: Duration = Duration.parse("15m")
    """
    How long a rollout may make no progress, or a pod may be missing, before that is a violation.

    A deployment that has exceeded its own `progressDeadlineSeconds` has failed by its own word, and is one at once.
    """

    @model_validator(mode="after")
    def _serving_is_no_worse(self) -> Self:
        if self.severity and self.while_serving and self.while_serving < self.severity:
            raise PydanticCustomError(
                "while_serving",
                "a severity no worse than `severity` ({severity}), which is for what does not serve",
                {"severity": str(self.severity)},
            )
        return self

    @property
    def serving_severity(self) -> Severity:
        """How bad an unfinished rollout is while enough pods serve."""
        every = list(Severity)
        milder = every[min(every.index(self.ungraded_severity) + 1, len(every) - 1)]
        return self.while_serving or milder

    @property
    def called(self) -> str:
        return self.workloads[0] if len(self.workloads) == 1 else "workloads"

    def workload_lists(self) -> tuple[ListObjects[Any], ...]:
        return tuple(one for kind, lists in _LISTS.items() if kind in self.workloads for one in self.lists(lists))

    def queries(self) -> Iterable[Query[Any]]:
        """The workloads there, and the pods, which say what holds them up."""
        return *self.workload_lists(), *self.lists(ListPods)


DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"


class Gap(Enum):
    """What a workload lacks to be rolled out; each has its own clock and its own remedy."""

    UNSEEN = auto()
    PAUSED = auto()
    FAILED = auto()
    OUTDATED = auto()
    LEFT_OVER = auto()
    UNAVAILABLE = auto()
    MISPLACED = auto()


def gaps(progress: Progress, *, allow_paused: bool) -> Iterator[Gap]:
    """What the workload lacks to be rolled out, the first question first; nothing when it is done."""
    if progress.generation > progress.observed_generation:
        yield Gap.UNSEEN  # and what the status says is about an older spec
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
    """What is there, and what should be: `1 of 3 pods available`, `3 pods available`."""
    up_to_date = "" if progress.on_delete else " up to date and"
    complete = f"{counted(progress.wanted, 'pod')}{up_to_date} available" if progress.wanted else "no pods"
    match gap:
        case Gap.UNSEEN:
            seen = f"its controller has seen generation {progress.observed_generation} of {progress.generation}"
            return seen, f"generation {progress.generation} is seen"
        case Gap.PAUSED if progress.changes:
            return f"paused while a change waits: {_versions(progress)}", "no change waits while it is paused"
        case Gap.PAUSED:
            return "paused", "not paused"
        case Gap.MISPLACED:
            pods = counted(progress.misplaced, "pod")
            return f"{pods} on nodes that should run none", "pods only on the nodes that it means"
        case Gap.UNAVAILABLE:
            return _available(progress), complete
    stands = f"has failed ({DEADLINE_EXCEEDED})" if gap is Gap.FAILED else "does not get on"
    return f"its rollout {stands}: {_versions(progress)}, {_available(progress)}", complete


def _versions(progress: Progress) -> str:
    if progress.updated < progress.to_update:
        return f"{progress.updated} of {counted(progress.to_update, 'pod')} up to date"
    left = f", {counted(progress.left_over, 'pod')} of an old revision left" if progress.left_over else ""
    return f"all up to date{left}"


def _available(progress: Progress) -> str:
    # While a rollout goes on there may be more than there should be in the end.
    return f"{min(progress.available, progress.wanted)} of {counted(progress.wanted, 'pod')} available"
