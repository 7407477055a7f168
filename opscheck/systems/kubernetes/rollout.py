"""Rollouts of deployments, stateful sets and daemon sets: what is expected, and how far each workload is."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from functools import partial
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from opscheck.core.query import Query
from opscheck.core.units import Duration, Severity
from opscheck.core.words import counted
from opscheck.systems.kubernetes.objects import Condition, condition
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.systems.kubernetes.remedies import (
    FORMER_NAMESPACE,
    MISSING_FACTS,
    NAMESPACE_FACT,
    NODE_LOST,
    POD_CRASHED,
    POD_FACTS,
    POD_REPORT,
    POD_STUCK,
    POD_UNREADY,
    POD_UNSCHEDULED,
    RESTART,
    ROLL_BACK,
    kubectl_remedy,
    missing_remedy,
)
from opscheck.systems.kubernetes.scope import OfKind
from opscheck.systems.kubernetes.workloads import (
    Deployment,
    ListDaemonSets,
    ListDeployments,
    ListStatefulSets,
    StatefulSet,
    Workload,
    WorkloadSpec,
    WorkloadStatus,
)

Kind = Literal["deployments", "statefulsets", "daemonsets"]
Kinds = Annotated[tuple[Kind, ...], Field(min_length=1), AfterValidator(lambda kinds: tuple(dict.fromkeys(kinds)))]
EVERY_KIND: tuple[Kind, ...] = ("deployments", "statefulsets", "daemonsets")


STATUS = kubectl_remedy(
    "See how far the rollout is", "rollout status {{ owner }} --watch=false", "describe {{ owner }}"
)
REPORT = kubectl_remedy("See what the workload reports", "describe {{ owner }}")
DELETE_BLOCKING = kubectl_remedy(
    "Delete the pod that the others wait for, once the workload is rolled back",
    "delete pod {{ pod }}  # after the undo: what is broken and not ready is not replaced by itself",
)
RESUME = kubectl_remedy("Resume the rollout", "rollout resume {{ owner }}")
QUOTA = kubectl_remedy("Make room in the quota, or raise it", "describe quota  # which one is used up by {{ owner }}?")
FEWER_PODS = kubectl_remedy(
    "Otherwise run as many pods as the quota allows",
    "scale {{ owner }} --replicas={{ fitting }}  # if the quota is to stay",
)
REFUSED = kubectl_remedy(
    "See what refuses the pods, and change that or the workload",
    "get events --field-selector=reason=FailedCreate  # what refuses the pods of {{ owner }}?",
)
MISPLACED = kubectl_remedy(
    "See which pods are on the wrong nodes",
    "get pods -o wide  # which pods of {{ owner }} are on nodes that it does not mean?",
)
UNSEEN = kubectl_remedy(
    "See whether kube-controller-manager works",
    "get lease kube-controller-manager -n kube-system  # does anybody look at {{ owner }}?",
)
MISSING_WORKLOADS = missing_remedy("deployments,statefulsets,daemonsets")


class RolloutComplete(OfKind, check="kubernetes.rollout"):
    """Deployments, stateful sets and daemon sets are rolled out: all their pods are up to date and available."""

    explains_others = True
    remedies = (
        STATUS,
        REPORT,
        POD_REPORT,
        POD_CRASHED,
        POD_UNREADY,
        POD_UNSCHEDULED,
        POD_STUCK,
        NODE_LOST,
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
        NAMESPACE_FACT
        | POD_FACTS
        | MISSING_FACTS
        | {"owner": "the workload, such as deployment/api", "fitting": "how many of its pods there are now"}
    )
    former_fact_names = FORMER_NAMESPACE | {
        "workload": "owner",
        "rolling": "owner",
        "failed_rollout": "owner",
        "paused": "owner",
        "crashed": "pod",
        "unready": "pod",
        "unready_rollout": "owner",
        "unscheduled": "pod",
        "lost_node": "node",
        "stuck": "pod",
        "blocking": "pod",
        "over_quota": "owner",
        "refused": "owner",
        "misplaced": "owner",
        "unseen": "owner",
    }

    workloads: Kinds = EVERY_KIND
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
        """What it looks at, in a word."""
        return self.workloads[0] if len(self.workloads) == 1 else "workloads"

    def deployments(self) -> tuple[ListDeployments, ...]:
        """The lists of deployments, if those are looked at."""
        return self.lists(ListDeployments) if "deployments" in self.workloads else ()

    def stateful_sets(self) -> tuple[ListStatefulSets, ...]:
        """The lists of stateful sets, if those are looked at."""
        return self.lists(ListStatefulSets) if "statefulsets" in self.workloads else ()

    def daemon_sets(self) -> tuple[ListDaemonSets, ...]:
        """The lists of daemon sets, if those are looked at."""
        return self.lists(ListDaemonSets) if "daemonsets" in self.workloads else ()

    def queries(self) -> Iterable[Query[Any]]:
        """The workloads there, and the pods, which say what holds them up."""
        return *self.deployments(), *self.stateful_sets(), *self.daemon_sets(), *self.lists(ListPods)


DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"
_ON_DELETE = "OnDelete"


class Gap(Enum):
    """What a workload lacks to be rolled out; each has its own clock and its own remedy."""

    UNSEEN = auto()
    PAUSED = auto()
    FAILED = auto()
    OUTDATED = auto()
    LEFT_OVER = auto()
    UNAVAILABLE = auto()
    MISPLACED = auto()


@dataclass(frozen=True)
class Progress:
    """How far a workload is, in the same words for each kind."""

    workload: Workload
    wanted: int
    """How many pods there should be."""
    to_update: int
    """How many of them have to be of the newest revision."""
    updated: int
    available: int
    observed_generation: int
    left_over: int = 0
    """Pods of old revisions that should be gone when all is done."""
    misplaced: int = 0
    paused: bool = False
    on_delete: bool = False
    """True when pods become new ones only when somebody deletes them."""
    in_order: bool = False
    """True when each pod waits for the ones in front of it."""
    min_ready_seconds: int = 0
    conditions: tuple[Condition, ...] = ()

    @property
    def name(self) -> str:
        """As a person types it: `deployment/api`."""
        return f"{type(self.workload).__name__.lower()}/{self.workload.name}"

    @property
    def generation(self) -> int:
        """Of the spec; 0 where it does not say."""
        return (self.workload.metadata and self.workload.metadata.generation) or 0

    @property
    def missing(self) -> int:
        """How many pods are not available and should be."""
        return max(0, self.wanted - self.available)

    @property
    def changes(self) -> bool:
        """True while there are pods of an old revision that are to be replaced."""
        return self.updated < self.to_update or self.left_over > 0

    @property
    def serves(self) -> bool:
        """
        True while enough pods are available for the users not to notice.

        That is the deployment's own condition, but never with no pod at all, which a generous maxUnavailable allows.
        """
        if not self.wanted:
            return True
        own = condition(self.conditions, "Available")
        enough = self.available * 2 > self.wanted if own is None else own.status == "True"
        return enough and self.available > 0

    def since(self, kind: str, status: str) -> datetime | None:
        """Since when the condition of that type has that status; None while it has another."""
        found = condition(self.conditions, kind)
        return found.last_transition_time if found is not None and found.status == status else None


def progress_of(workload: Workload) -> Progress | None:
    """How far `workload` is; None for one that is half written, of which nothing can be said."""
    # A server gives every object a generation; one without a status is one that no controller has seen.
    is_made = workload.status is not None or bool(workload.metadata and workload.metadata.generation)
    spec, status = workload.spec, workload.status or WorkloadStatus()
    if spec is None or not is_made:
        return None
    progress = partial(
        Progress,
        workload,
        observed_generation=status.observed_generation or 0,
        min_ready_seconds=spec.min_ready_seconds or 0,
    )
    replicas, updated = 1 if spec.replicas is None else spec.replicas, status.updated_replicas or 0
    match workload:
        case Deployment():
            return progress(
                wanted=replicas,
                to_update=replicas,
                updated=updated,
                available=status.available_replicas or 0,
                left_over=max(0, (status.replicas or 0) - updated),
                paused=bool(spec.paused),
                conditions=status.conditions or (),
            )
        case StatefulSet():
            # Servers before 1.22 count no available pods.
            available = status.ready_replicas if status.available_replicas is None else status.available_replicas
            return progress(
                wanted=replicas,
                to_update=_to_update(replicas, spec, status),
                updated=updated,
                available=available or 0,
                on_delete=_by_deletion(spec),
                in_order=spec.pod_management_policy != "Parallel",
            )
    desired = status.desired_number_scheduled or 0
    return progress(
        wanted=desired,
        to_update=0 if _by_deletion(spec) else desired,
        updated=status.updated_number_scheduled or 0,
        available=status.number_available or 0,
        misplaced=status.number_misscheduled or 0,
        on_delete=_by_deletion(spec),
    )


def _to_update(replicas: int, spec: WorkloadSpec, status: WorkloadStatus) -> int:
    """
    How many pods of a stateful set have to be of the newest revision.

    With OnDelete none has to, and `currentRevision` never becomes the update revision (kubernetes/kubernetes#73492).
    Pods below the partition keep theirs, so that the revisions differ for as long as there is one. A partition counts
    from the first pod, also where ordinals do not start at 0.
    """
    if _by_deletion(spec) or (status.update_revision and status.update_revision == status.current_revision):
        return 0
    rolling = spec.update_strategy and spec.update_strategy.rolling_update
    return max(0, replicas - ((rolling.partition if rolling else None) or 0))


def _by_deletion(spec: WorkloadSpec) -> bool:
    return spec.update_strategy is not None and spec.update_strategy.type == _ON_DELETE


def gaps(progress: Progress, *, allow_paused: bool) -> Iterator[Gap]:
    """What the workload lacks to be rolled out, the first question first; nothing when it is done."""
    if progress.generation > progress.observed_generation:
        yield Gap.UNSEEN  # and what the status says is about an older spec
        return
    if progress.paused:
        if progress.changes or not allow_paused:
            yield Gap.PAUSED
    elif _has_failed(progress):
        yield Gap.FAILED
    elif progress.updated < progress.to_update:
        yield Gap.OUTDATED
    elif progress.left_over:
        yield Gap.LEFT_OVER
    if progress.missing:
        yield Gap.UNAVAILABLE
    if progress.misplaced:
        yield Gap.MISPLACED


def _has_failed(progress: Progress) -> bool:
    progressing = condition(progress.conditions, "Progressing")
    return progressing is not None and progressing.reason == DEADLINE_EXCEEDED


def told(progress: Progress, gap: Gap) -> str:
    """What is there instead of what should be: `1 of 3 pods available`."""
    match gap:
        case Gap.UNSEEN:
            return f"its controller has seen generation {progress.observed_generation} of {progress.generation}"
        case Gap.PAUSED:
            return f"paused while a change waits: {_versions(progress)}" if progress.changes else "paused"
        case Gap.UNAVAILABLE:
            return _available(progress)
        case Gap.MISPLACED:
            return f"{counted(progress.misplaced, 'pod')} on nodes that should run none"
    stands = f"has failed ({DEADLINE_EXCEEDED})" if gap is Gap.FAILED else "does not get on"
    return f"its rollout {stands}: {_versions(progress)}, {_available(progress)}"


def _versions(progress: Progress) -> str:
    if progress.updated < progress.to_update:
        return f"{progress.updated} of {counted(progress.to_update, 'pod')} up to date"
    left = f", {counted(progress.left_over, 'pod')} of an old revision left" if progress.left_over else ""
    return f"all up to date{left}"


def _available(progress: Progress) -> str:
    # While a rollout goes on there may be more than there should be in the end.
    return f"{min(progress.available, progress.wanted)} of {counted(progress.wanted, 'pod')} available"


def wanted(progress: Progress, gap: Gap) -> str:
    """What should be there."""
    match gap:
        case Gap.UNSEEN:
            return f"generation {progress.generation} is seen"
        case Gap.PAUSED:
            return "no change waits while it is paused" if progress.changes else "not paused"
        case Gap.MISPLACED:
            return "pods only on the nodes that it means"
    up_to_date = "" if progress.on_delete else " up to date and"
    return f"{counted(progress.wanted, 'pod')}{up_to_date} available" if progress.wanted else "no pods"
