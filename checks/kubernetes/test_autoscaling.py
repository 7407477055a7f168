"""The horizontal pod autoscalers of a cluster."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from opscheck import Findings, Observe
from opscheck.core.record import Finding
from opscheck.core.remedy import Remedy
from opscheck.core.words import counted
from opscheck.systems.kubernetes.autoscaling import (
    CONDITIONS,
    HIGHER_MAXIMUM,
    METRICS,
    MISSING,
    SAME_TARGET,
    TARGET,
    AutoscalerSpec,
    AutoscalerStatus,
    Autoscaling,
    HorizontalPodAutoscaler,
    ListAutoscalers,
)
from opscheck.systems.kubernetes.objects import Condition, condition, reference
from opscheck.systems.kubernetes.selection import count_matches, listed, matching
from opscheck.systems.kubernetes.warnings import Warnings
from opscheck.systems.kubernetes.words import lasting, latest, longer_than, messages

_SCALED_TO_NONE = "ScalingDisabled"
_AT_MAXIMUM = "TooManyReplicas"
_WAITS = "Backoff"
_NO_METRIC = ("FailedGet", "InvalidMetric", "FailedComputeMetrics")


def test_autoscalers_can_scale(expectation: Autoscaling, observe: Observe, findings: Findings) -> None:
    """
    Every selected autoscaler reads its metrics, can scale, and is below its maximum.

    An autoscaler that cannot scale leaves the workload at its size. The next peak of load meets too few replicas, and
    requests fail first.
    """
    there = [one for one in listed(observe, expectation.lists(ListAutoscalers)) if not one.is_terminating]
    matched, warnings = matching(expectation, there), Warnings(expectation, observe)
    count_matches(expectation, there, matched, findings, kind="autoscalers", remedy=MISSING)
    scalers = [Scaler(expectation, one, observe.now) for one in matched]
    for scaler in scalers:
        if (finding := scaler.obstacle) is not None:
            findings.report(warnings.attach(finding, scaler.autoscaler))
    variable = [one for one in scalers if one.has is not None and one.maximum and not one.is_pinned]
    if (fullest := max(variable, key=lambda one: (one.has or 0) / one.maximum, default=None)) is not None:
        name, replicas, maximum = expectation.subject(fullest.autoscaler), fullest.has or 0, fullest.maximum
        findings.measure("replicas", replicas, subject=name, limit=maximum, margin=maximum - replicas)


@dataclass(frozen=True)
class Scaler:
    """An autoscaler at one moment."""

    expectation: Autoscaling
    autoscaler: HorizontalPodAutoscaler
    now: datetime

    @property
    def spec(self) -> AutoscalerSpec:
        return self.autoscaler.spec or AutoscalerSpec()

    @property
    def status(self) -> AutoscalerStatus:
        return self.autoscaler.status or AutoscalerStatus()

    @property
    def has(self) -> int | None:
        return self.status.current_replicas

    @property
    def maximum(self) -> int:
        return self.spec.max_replicas or 0

    @property
    def is_pinned(self) -> bool:
        return (1 if self.spec.min_replicas is None else self.spec.min_replicas) == self.spec.max_replicas

    @property
    def scaled(self) -> str:
        """The scaled object in kubectl's format: `deployment/api`; empty without one."""
        target = self.spec.scale_target_ref
        return f"{target.kind.lower()}/{target.name}" if target and target.kind and target.name else ""

    @property
    def obstacle(self) -> Finding | None:
        """The reason why it has not scaled for longer than the grace; None without one, or when it is disabled."""
        active = condition(self.status.conditions, "ScalingActive", "False")
        if active is not None and active.reason == _SCALED_TO_NONE:
            return None  # its target was scaled to zero manually
        kinds = (self._never_seen, self._cannot_reach_target, self._cannot_measure, self._limited, self._gets_nowhere)
        found = (finding for kind in kinds for finding in kind())
        return next((one for one in found if longer_than(self.expectation.grace, one.since, self.now)), None)

    def _finding(self, observed: str, expected: str, *remedies: Remedy, **given: Any) -> Finding:
        patch = json.dumps({"spec": {"maxReplicas": 2 * self.maximum}}, separators=(",", ":"))
        return self.expectation.finding_on(
            self.autoscaler,
            observed=observed,
            expected=expected,
            remedies=(CONDITIONS, *remedies),
            facts={"autoscaler": self.autoscaler.name, "scaled": self.scaled, "raised_maximum": patch},
            **given,
        )

    def _never_seen(self) -> Iterator[Finding]:
        since = self.autoscaler.created
        if not self.status.conditions and since is not None:
            seen = f"no status{lasting(since, self.now)}"
            yield self._finding(seen, "a status from the autoscaler's controller", since=since)

    def _cannot_reach_target(self) -> Iterator[Finding]:
        able = condition(self.status.conditions, "AbleToScale", "False")
        # Waiting between two steps was reported as False in old versions; it lasts minutes and is normal.
        if able is not None and not (able.reason or "").startswith(_WAITS):
            seen, remedies = f"cannot scale {self.scaled or 'its target'}", [TARGET] if self.scaled else []
            yield self._reported(able, seen, "able to scale", *remedies)

    def _cannot_measure(self) -> Iterator[Finding]:
        active = condition(self.status.conditions, "ScalingActive", "False")
        if active is None:
            return
        if (active.reason or "").startswith(_NO_METRIC):
            seen, remedies = "cannot read its metrics", [METRICS]
        else:
            seen, remedies = "does not scale", [SAME_TARGET] if active.reason == "AmbiguousSelector" else []
        yield self._reported(active, seen, "scaling by its metrics", *remedies)

    def _reported(self, said_by: Condition, seen: str, expected: str, *remedies: Remedy) -> Finding:
        """The finding for a condition, with its time and reason."""
        since = said_by.last_transition_time or self.autoscaler.created
        seen = f"{seen}{lasting(since, self.now)}: {said_by.reason or 'no reason given'}"
        return self._finding(seen, expected, *remedies, since=since, evidence=messages(said_by.message))

    def _limited(self) -> Iterator[Finding]:
        """
        It is at its maximum and needs more replicas.

        The maximum is not a fault if it satisfies the demand (prometheus-community/helm-charts#7278), and neither is a
        limit at the minimum (kubernetes/kubernetes#116387).
        """
        limited, maximum = condition(self.status.conditions, "ScalingLimited", "True"), self.maximum
        if limited is None or limited.reason != _AT_MAXIMUM:
            return
        if not maximum or self.is_pinned or (self.has or 0) < maximum:
            return
        # The condition keeps its time when the limit changes from minimum to maximum; then the last step counts.
        since = latest(limited.last_transition_time, self.status.last_scale_time) or self.autoscaler.created
        seen = f"needs more than its maximum of {counted(maximum, 'replica')}{lasting(since, self.now)}"
        expected, said = f"enough with at most {maximum}", messages(limited.message)
        yield self._finding(seen, expected, HIGHER_MAXIMUM, since=since, evidence=said)

    def _gets_nowhere(self) -> Iterator[Finding]:
        has, wants, target = self.has, self.status.desired_replicas, self.scaled
        if has is None or wants is None or has == wants:
            return
        able = condition(self.status.conditions, "AbleToScale", "True")
        since, (kind, _, name) = self.status.last_scale_time or self.autoscaler.created, target.partition("/")
        yield self._finding(
            f"{has} of {counted(wants, 'wanted replica')} of {target or 'its target'}{lasting(since, self.now)}",
            "all wanted replicas",
            *([TARGET] if target else []),
            since=since,
            evidence=messages(able and able.message),
            # Only this fault can be caused by the workload. A workload that lacks a pod still has metrics.
            because=[reference(self.expectation.target, kind, name, self.autoscaler.namespace)] if target else [],
        )
