"""Autoscalers, disruption budgets and quotas, as a cluster reports them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from opscheck.demo.kubernetes.objects import Object, condition, metadata, timestamp

_MONTH = timedelta(days=30)
_WORDS = {
    "ReadyForNewScale": "recommended size matches current size",
    "SucceededGetScale": "the HPA controller was able to get the target's current scale",
    "FailedGetScale": "the HPA controller was unable to get the target's current scale",
    "FailedUpdateScale": "the HPA controller was unable to update the target scale",
    "ValidMetricFound": "the HPA was able to successfully calculate a replica count from cpu resource utilization",
    "ScalingDisabled": "scaling is disabled since the replica count of the target is zero",
    "FailedGetResourceMetric": "the HPA was unable to compute the replica count: failed to get cpu utilization",
    "AmbiguousSelector": "pods by selector app=api are controlled by multiple HPAs: [shop/api shop/api-too]",
    "DesiredWithinRange": "the desired count is within the acceptable range",
    "TooManyReplicas": "the desired replica count is more than the maximum replica count",
    "TooFewReplicas": "the desired replica count is less than the minimum replica count",
}


def autoscaler(  # noqa: PLR0913 -- an autoscaler has many faces; all but the name have a default
    name: str,
    namespace: str = "default",
    *,
    target: str = "",
    minimum: int = 2,
    maximum: int = 10,
    replicas: int = 3,
    wanted: int | None = None,
    able: str = "",
    active: str = "",
    limited: str = "",
    since: datetime | None = None,
    scaled: datetime | None = None,
    created: datetime | None = None,
    labels: Mapping[str, str] | None = None,
) -> Object:
    """
    A horizontal pod autoscaler of `target` (`Kind/name`; the deployment of its name by default).

    able, active: the reason for which AbleToScale and ScalingActive are False. limited: the reason for which
    ScalingLimited is True. since: when these changed last. scaled: when it changed its target's size last.
    """
    born = created or datetime.now(UTC) - _MONTH
    changed, kind, scales = since or born, *(target or f"Deployment/{name}").split("/", 1)
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(name, namespace, created=born, labels=labels),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": kind, "name": scales},
            "minReplicas": minimum,
            "maxReplicas": maximum,
            "metrics": [_cpu({"type": "Utilization", "averageUtilization": 80})],
        },
        "status": {
            "lastScaleTime": timestamp(scaled or born + timedelta(minutes=5)),
            "currentReplicas": replicas,
            "desiredReplicas": replicas if wanted is None else wanted,
            "currentMetrics": [_cpu({"averageUtilization": 62, "averageValue": "155m"}, part="current")],
            "conditions": [
                _told("AbleToScale", not able, changed, able or "ReadyForNewScale"),
                _told("ScalingActive", not active, changed, active or "ValidMetricFound"),
                _told("ScalingLimited", bool(limited), changed, limited or "DesiredWithinRange"),
            ],
        },
    }


def disruption_budget(  # noqa: PLR0913 -- a budget has many faces; all but the name have a default
    name: str,
    namespace: str = "default",
    *,
    selector: Mapping[str, str] | None = None,
    expected: int = 3,
    healthy: int = 3,
    wanted: int = 2,
    reason: str = "",
    message: str = "",
    since: datetime | None = None,
    created: datetime | None = None,
    labels: Mapping[str, str] | None = None,
) -> Object:
    """
    A disruption budget of the pods labelled `app: <name>`, or of those that `selector` names.

    wanted: how many must be healthy. since: when it began or ceased to allow a disruption. reason: of that, such as
    SyncFailed; by default whether there are pods to spare.
    """
    born = created or datetime.now(UTC) - _MONTH
    allowed = max(0, healthy - wanted) if expected else 0
    told = reason or ("SufficientPods" if allowed else "InsufficientPods")
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(name, namespace, created=born, labels=labels) | {"generation": 1},
        "spec": {
            "minAvailable": wanted,
            "selector": {"matchLabels": {"app": name} if selector is None else dict(selector)},
        },
        "status": {
            "observedGeneration": 1,
            "disruptionsAllowed": allowed,
            "currentHealthy": healthy,
            "desiredHealthy": wanted,
            "expectedPods": expected,
            "conditions": [
                condition("DisruptionAllowed", bool(allowed), since or born, told, message) | {"observedGeneration": 1}
            ],
        },
    }


def quota(  # noqa: PLR0913 -- a quota has many faces; all but the name and its limits have a default
    name: str,
    namespace: str = "default",
    *,
    hard: Mapping[str, str],
    used: Mapping[str, str] | None = None,
    scopes: Sequence[str] = (),
    created: datetime | None = None,
    labels: Mapping[str, str] | None = None,
) -> Object:
    """A quota that grants `hard`, and of which `used` is taken; nothing of what `used` leaves out."""
    restricted = {"scopes": list(scopes)} if scopes else {}
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": metadata(name, namespace, created=created or datetime.now(UTC) - _MONTH, labels=labels),
        "spec": {"hard": dict(hard)} | restricted,
        "status": {"hard": dict(hard), "used": dict.fromkeys(hard, "0") | dict(used or {})},
    }


def _told(kind: str, holds: bool, since: datetime, reason: str) -> Object:
    return condition(kind, holds, since, reason, _WORDS.get(reason, f"the autoscaler says {reason}"))


def _cpu(value: Mapping[str, str | int], part: str = "target") -> Object:
    return {"type": "Resource", "resource": {"name": "cpu", part: dict(value)}}
