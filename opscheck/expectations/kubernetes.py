"""What can be expected of a Kubernetes cluster."""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from opscheck.expectations.base import Expectation, Remediation
from opscheck.queries.base import Query
from opscheck.queries.kubernetes import ListNodes, ListNodeUsage, ListPods, ListPodUsage
from opscheck.queries.kubernetes_logs import PodLogs
from opscheck.queries.label_selectors import parse_selector
from opscheck.targets import KubernetesTarget
from opscheck.units import ByteSize, Count, Duration, Graded, Percentage, PositiveCount

EVERY_NAMESPACE = "*"

_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def _selector(value: str) -> str:
    try:
        parse_selector(value)
    except ValueError as error:
        raise PydanticCustomError(
            "selector", "a label selector such as `app=api,tier in (web, api)`: {reason}", {"reason": str(error)}
        ) from error
    return value


def _namespace(value: str) -> str:
    if value != EVERY_NAMESPACE and not _NAMESPACE.fullmatch(value):
        raise PydanticCustomError("namespace", "the name of a namespace, or `*` for every one")
    return value


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        raise PydanticCustomError("regex", "a regular expression ({reason})", {"reason": str(error)}) from error
    if not value:
        raise PydanticCustomError("regex", "a regular expression; the empty one matches every line")
    return value


def _a_second(value: Duration) -> Duration:
    if value < 1:
        raise PydanticCustomError("window", "a duration of 1s or more")
    return value


Selector = Annotated[str, AfterValidator(_selector)]
Namespace = Annotated[str, AfterValidator(_namespace)]
Pattern = Annotated[str, AfterValidator(_pattern), Field(json_schema_extra={"format": "regex"})]
Window = Annotated[Duration, AfterValidator(_a_second)]


def _kubectl(*commands: str) -> tuple[str, ...]:
    # Each command has two forms, and a finding carries the facts of one: with the context that the policy pins,
    # so that nobody repairs another cluster, and without one where the policy goes by kubectl's own choice too.
    return tuple(
        form
        for command in commands
        for form in (
            f"kubectl --context {{{{ context }}}} -n {{{{ namespace }}}} {command}",
            f"kubectl -n {{{{ current_namespace }}}} {command}",
        )
    )


_PLACE_FACTS = {
    "namespace": "the namespace the finding is about",
    "context": "the kubeconfig context, where the policy pins one",
    "current_namespace": "the namespace, where the policy pins no context",
}
_POD_FACTS = _PLACE_FACTS | {
    "pod": "the pod's name",
    "container": "the container that is to blame",
    "owner": "what controls the pod, such as deployment/api",
    "node": "the node the pod is on",
}


class _InNamespace(Expectation):
    """Looks at the pods of one namespace, or of all."""

    target: KubernetesTarget
    """The cluster."""
    namespace: Namespace | None = None
    """The namespace to look at, `*` for every one; the target's own by default."""
    selector: Selector | None = None
    """A label selector, such as `app=api,tier in (web, api)`; all by default."""

    @property
    def listed_namespace(self) -> str | None:
        """The namespace that queries name; None is every one."""
        chosen = self.namespace or self.target.namespace
        return None if chosen == EVERY_NAMESPACE else chosen

    @property
    def selected(self) -> str:
        """What is looked at, in words: `app=api in namespace shop`."""
        where = f"namespace {self.listed_namespace}" if self.listed_namespace else "every namespace"
        return f"{self.selector or 'all'} in {where}"


class RestartLimit(BaseModel):
    """How often the containers of one pod may restart."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, use_attribute_docstrings=True)

    at_most: Count
    """The largest number of restarts that is all right."""
    within: Window
    """How far back restarts count."""


class PodsHealthy(_InNamespace, check="kubernetes.pods"):
    """Every selected pod runs and is ready, or is complete by design, and there are enough of them."""

    needs_severity = True
    # A command that names a fact is left out of findings without it, so each kind of trouble has facts of its own.
    fact_names = _POD_FACTS | {
        "crashed": "the pod, when a container of it crashed",
        "failed_rollout": "the owner, when its pods crash or cannot start",
        "out_of_memory": "the owner, when a container reached its memory limit",
        "doubled_memory": "twice that limit",
        "unready": "the pod, when it runs and is not ready",
        "unready_rollout": "its owner",
        "unscheduled": "the pod, when no node takes it",
        "lost_node": "the node, when it does not report any more",
        "stuck": "the pod, when it should be gone by now",
        "tombstone": "the pod, when it failed or was evicted",
        "missing": "the selector, when it matches too few pods",
    }
    default_remediation = Remediation(
        summary="See what the pod reports, then roll back, give it what it lacks, or restart it",
        commands=_kubectl(
            "describe pod {{ pod }}",
            "logs {{ crashed }} -c {{ container }} --previous --tail=100",
            "logs {{ unready }} --all-containers --tail=100",
            "rollout history {{ failed_rollout }}",
            "rollout undo {{ failed_rollout }}  # if it began with the last rollout",
            "set resources {{ out_of_memory }} -c {{ container }} --limits=memory={{ doubled_memory }}",
            "rollout restart {{ unready_rollout }}",
            "describe nodes | grep -A 8 'Allocated resources'  # is there room for {{ unscheduled }}?",
            "describe node {{ lost_node }}",
            "get pod {{ stuck }} -o jsonpath='{.metadata.finalizers}'",
            "delete pod {{ tombstone }}  # it holds no work any more",
            "get deployments,statefulsets,daemonsets,pods --show-labels  # what should match {{ missing }}?",
        ),
    )

    name: str | None = Field(default=None, min_length=1)
    """Only pods whose name matches this, with `*` and `?` as in a file name."""
    min_matches: PositiveCount = 1
    """How many pods must be there at least. Pods that end, failed or completed, and pods of jobs do not count."""
    count_completed: bool = False
    """Let completed pods and the pods of jobs count as matches too, for a selection that is meant to end."""
    restarts: RestartLimit | None = None
    """How often the containers of one pod may restart."""
    grace: Duration = Duration.parse("15m")
    """How long a pod may take to start, to become ready again, or to go, before that is a violation."""

    def pods(self) -> ListPods:
        """The question it is judged by."""
        return ListPods(self.target.name, self.listed_namespace)

    def queries(self) -> Iterable[Query[Any]]:
        """One list of the namespace's pods, shared with every other expectation there."""
        return (self.pods(),)


class UsageWithinLimits(_InNamespace, check="kubernetes.usage"):
    """Nodes keep room for more, and pods stay below their limits."""

    any_limit_of = ("cpu", "memory")
    fact_names = _POD_FACTS | {
        "full_node": "the node, when its CPU or memory is short",
        "hungry": "the pod, when it comes near its limits",
        "memory_owner": "the pod's owner, when memory is short",
        "doubled_memory": "twice the container's memory limit",
    }
    default_remediation = Remediation(
        summary="See what uses it, then raise the limit, spread the load, or add a node",
        commands=_kubectl(
            "describe node {{ full_node }}",
            "top pods -A --sort-by=memory  # which of them are on {{ full_node }}?",
            "top pod {{ hungry }} --containers",
            "set resources {{ memory_owner }} -c {{ container }} --limits=memory={{ doubled_memory }}",
        ),
    )

    of: Literal["nodes", "pods"]
    """`nodes`: usage against what the node can give to pods. `pods`: usage against the limits of the containers."""
    cpu: Graded[Percentage] | None = None
    """How much of the CPU may be used."""
    memory: Graded[Percentage] | None = None
    """How much of the memory may be used; that is the working set, which the kubelet evicts on."""

    @model_validator(mode="after")
    def _nodes_have_no_namespace(self) -> Self:
        if self.of == "nodes" and self.namespace is not None:
            raise PydanticCustomError("namespace_of_nodes", "no `namespace` beside `of: nodes`; nodes belong to none")
        return self

    def pods(self) -> tuple[ListPods, ListPodUsage]:
        """What pods may use, and what they do use."""
        name, namespace = self.target.name, self.listed_namespace
        return ListPods(name, namespace), ListPodUsage(name, namespace)

    def nodes(self) -> tuple[ListNodes, ListNodeUsage]:
        """What nodes have, and what is used of it."""
        return ListNodes(self.target.name), ListNodeUsage(self.target.name)

    def queries(self) -> Iterable[Query[Any]]:
        """One list of objects and one of metrics."""
        return self.nodes() if self.of == "nodes" else self.pods()


class LogLines(_InNamespace, check="kubernetes.logs"):
    """Few lines of the selected pods' logs match the pattern."""

    fact_names = _POD_FACTS | {
        "since": "the window, as kubectl reads it",
        "logged_selector": "the selector",
        "logged_by": "the pod with the most matching lines",
        "exact_pattern": "the pattern, where capitals matter",
        "caseless_pattern": "the pattern, where they do not",
        "rollout": "that pod's owner, where it is one that rolls out",
    }
    default_remediation = Remediation(
        summary="Read the lines around the most frequent message, and mend what it names",
        commands=_kubectl(
            "logs {{ logged_by }} -c {{ container }} --since={{ since }} | grep -E -- {{ exact_pattern }} | tail",
            "logs {{ logged_by }} -c {{ container }} --since={{ since }} | grep -iE -- {{ caseless_pattern }} | tail",
            "logs -l {{ logged_selector }} --all-containers --prefix --tail=-1 --since={{ since }} | tail -n 100",
            "rollout history {{ rollout }}",
        ),
    )

    pattern: Pattern
    """
    A Python regular expression that is searched in each line, in its first 4 KiB.

    A repeat inside a repeat, such as `(a+)+`, can take forever on some lines; write `(a++)+` or `a+`.
    """
    ignore_case: bool = False
    """Let capitals and small letters be the same."""
    window: Window
    """
    How far back lines count.

    Kubernetes keeps the newest log file of a container, about 10 MiB by default, and that of its run before the last
    restart; what was written before is gone, and is not counted.
    """
    lines: Graded[Count]
    """How many lines may match, over all selected pods."""
    container: str | None = Field(default=None, min_length=1)
    """Only this container; every container but init containers by default."""
    expect_lines: bool = False
    """Say unknown where no line at all was logged in the window, for pods that are never silent."""
    max_bytes: ByteSize = ByteSize.parse("10MB")
    """How much is read of each pod. Of a longer log, what was not read is unknown."""

    def logs(self) -> PodLogs:
        """The question it is judged by."""
        return PodLogs(
            self.target.name,
            namespace=self.listed_namespace,
            selector=self.selector,
            pattern=self.pattern,
            window_s=round(self.window),
            ignore_case=self.ignore_case,
            container=self.container,
            max_bytes=int(self.max_bytes),
        )

    def queries(self) -> Iterable[Query[Any]]:
        """One question that the probe answers with a list of pods and a request for each container."""
        return (self.logs(),)
