"""What can be expected of pods."""

from collections.abc import Iterable
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from opscheck.core.expectation import Remediation
from opscheck.core.query import Query
from opscheck.core.units import Count, Duration, PositiveCount
from opscheck.systems.kubernetes.expectations.base import POD_FACTS, OfKind, Window, kubectl
from opscheck.systems.kubernetes.queries.pods import ListPods


class RestartLimit(BaseModel):
    """How often the containers of one pod may restart."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, use_attribute_docstrings=True)

    at_most: Count
    """The largest number of restarts that is all right."""
    within: Window
    """How far back restarts count."""


class PodsHealthy(OfKind, check="kubernetes.pods"):
    """Every selected pod runs and is ready, or is complete by design, and there are enough of them."""

    explains_others: ClassVar[bool] = True
    # A command that names a fact is left out of findings without it, so each kind of trouble has facts of its own.
    fact_names = POD_FACTS | {
        "crashed": "the pod, when a container of it crashed",
        "failed_rollout": "the owner, when its pods crash or cannot start",
        "out_of_memory": "the owner, when a container was killed for memory",
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
        commands=kubectl(
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

    min_matches: PositiveCount = 1
    """How many pods must be there at least. Pods that end, failed or completed, and pods of jobs do not count."""
    count_completed: bool = False
    """Let completed pods and the pods of jobs count as matches too, for a selection that is meant to end."""
    restarts: RestartLimit | None = None
    """How often the containers of one pod may restart."""
    no_oom_kill_within: Window | None = None
    """
    How far back no container may have been killed for memory, also where it runs again; not looked at by default.

    Kubernetes keeps the last end of a container only, so that a kill before that one is gone.
    """
    grace: Duration = Duration.parse("15m")
    """How long a pod may take to start, to become ready again, or to go, before that is a violation."""

    def looks_at(self) -> Iterable[Query[Any]]:
        """The pods there."""
        return self.ask(ListPods)
