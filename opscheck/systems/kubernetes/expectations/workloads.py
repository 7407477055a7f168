"""What can be expected of deployments, stateful sets and daemon sets."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from opscheck.core.expectation import Remediation
from opscheck.core.query import Query
from opscheck.core.units import Duration, Severity
from opscheck.systems.kubernetes.expectations.base import POD_FACTS, OfKind, kubectl
from opscheck.systems.kubernetes.queries.pods import ListPods
from opscheck.systems.kubernetes.queries.workloads import ListDaemonSets, ListDeployments, ListStatefulSets

Kind = Literal["deployments", "statefulsets", "daemonsets"]
Kinds = Annotated[tuple[Kind, ...], Field(min_length=1), AfterValidator(lambda kinds: tuple(dict.fromkeys(kinds)))]

EVERY_KIND: tuple[Kind, ...] = ("deployments", "statefulsets", "daemonsets")


class RolloutComplete(OfKind, check="kubernetes.rollout"):
    """Deployments, stateful sets and daemon sets are rolled out: all their pods are up to date and available."""

    explains_others = True
    # A command that names a fact is left out of findings without it, so each kind of trouble has facts of its own.
    fact_names = POD_FACTS | {
        "workload": "the workload, such as deployment/api",
        "rolling": "the workload, where `kubectl rollout status` can say how far it is",
        "failed_rollout": "the workload, when its newest revision does not come up",
        "paused": "the workload, when it is paused",
        "crashed": "the first of its pods that crashed",
        "unready": "the first of its pods that runs and is not ready",
        "unready_rollout": "the workload, when its pods run and are not ready",
        "unscheduled": "the first of its pods that no node takes",
        "lost_node": "the node of a pod, when it does not report any more",
        "stuck": "the first of its pods that should be gone by now",
        "blocking": "the pod of a stateful set that the others wait for",
        "over_quota": "the workload, when a quota refuses its pods",
        "fitting": "how many of its pods there are now",
        "refused": "the workload, when its pods are refused for another reason",
        "misplaced": "the daemon set with pods on nodes that it does not mean",
        "unseen": "the workload, when its controller has not seen its newest generation",
        "missing": "the selector, when it matches too few workloads",
    }
    default_remediation = Remediation(
        summary="See which pods hold it up, then roll back, give them what they lack, or let the rollout go on",
        commands=kubectl(
            "rollout status {{ rolling }} --watch=false",
            "describe {{ workload }}",
            "describe pod {{ pod }}",
            "logs {{ crashed }} -c {{ container }} --previous --tail=100",
            "logs {{ unready }} --all-containers --tail=100",
            "rollout history {{ failed_rollout }}",
            "rollout undo {{ failed_rollout }}  # if it began with the last rollout",
            "delete pod {{ blocking }}  # after the undo: what is broken and not ready is not replaced by itself",
            "rollout resume {{ paused }}",
            "describe quota  # which one is used up by {{ over_quota }}?",
            "scale {{ over_quota }} --replicas={{ fitting }}  # if the quota is to stay",
            "get events --field-selector=reason=FailedCreate  # what refuses the pods of {{ refused }}?",
            "rollout restart {{ unready_rollout }}",
            "describe nodes | grep -A 8 'Allocated resources'  # is there room for {{ unscheduled }}?",
            "describe node {{ lost_node }}",
            "get pod {{ stuck }} -o jsonpath='{.metadata.finalizers}'",
            "get pods -o wide  # which pods of {{ misplaced }} are on nodes that it does not mean?",
            "get lease kube-controller-manager -n kube-system  # does anybody look at {{ unseen }}?",
            "get deployments,statefulsets,daemonsets --show-labels  # what should match {{ missing }}?",
        ),
    )

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
        return self.ask(ListDeployments) if "deployments" in self.workloads else ()

    def stateful_sets(self) -> tuple[ListStatefulSets, ...]:
        """The lists of stateful sets, if those are looked at."""
        return self.ask(ListStatefulSets) if "statefulsets" in self.workloads else ()

    def daemon_sets(self) -> tuple[ListDaemonSets, ...]:
        """The lists of daemon sets, if those are looked at."""
        return self.ask(ListDaemonSets) if "daemonsets" in self.workloads else ()

    def looks_at(self) -> Iterable[Query[Any]]:
        """The workloads there, and the pods, which say what holds them up."""
        return *self.deployments(), *self.stateful_sets(), *self.daemon_sets(), *self.ask(ListPods)
