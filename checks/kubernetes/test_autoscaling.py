"""The horizontal pod autoscalers of a cluster."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from opscheck import Findings, Observe
from opscheck.core.record import Finding
from opscheck.core.remedy import Remedy
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
from opscheck.systems.kubernetes.objects import Condition, condition
from opscheck.systems.kubernetes.owners import reference
from opscheck.systems.kubernetes.selection import count_matches, listed, matching
from opscheck.systems.kubernetes.warnings import Warnings
from opscheck.systems.kubernetes.words import lasting, latest, longer_than, messages

_SCALED_TO_NONE = "ScalingDisabled"
_AT_MAXIMUM = "TooManyReplicas"
_WAITS = "Backoff"
_SELECTORS = {"InvalidSelector", "AmbiguousSelector"}
_NO_METRIC = ("FailedGet", "InvalidMetric", "FailedComputeMetrics")


def test_autoscalers_can_scale(expectation: Autoscaling, observe: Observe, findings: Findings) -> None:
    """
    Every selected autoscaler can read its metrics, can scale, and has room for what it wants.

    One that cannot leaves a workload at the size it has: the next peak of load meets too few replicas, and nothing
    says so until requests fail.
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
        """True where its minimum is its maximum."""
        return (1 if self.spec.min_replicas is None else self.spec.min_replicas) == self.spec.max_replicas

    @property
    def scaled(self) -> str:
        """What it scales, as kubectl takes it: `deployment/api`; empty where it does not say."""
        target = self.spec.scale_target_ref
        return f"{target.kind.lower()}/{target.name}" if target and target.kind and target.name else ""

    @property
    def obstacle(self) -> Finding | None:
        """What keeps it from scaling for longer than the grace; None when nothing does, or when it is switched off."""
        active = self._condition("ScalingActive", "False")
        if active is not None and active.reason == _SCALED_TO_NONE:
            return None  # its target was scaled to none by hand
        kinds = (self._never_seen, self._cannot_reach_target, self._cannot_measure, self._limited, self._gets_nowhere)
        found = (finding for kind in kinds for finding in kind())
        return next((one for one in found if longer_than(self.expectation.grace, one.since, self.now)), None)

    def _condition(self, kind: str, status: str) -> Condition | None:
        found = condition(self.status.conditions, kind)
        return found if found is not None and found.status == status else None

    def _finding(self, *remedies: Remedy, said_by: Condition | None = None, **given: Any) -> Finding:
        patch = json.dumps({"spec": {"maxReplicas": 2 * self.maximum}}, separators=(",", ":"))
        return self.expectation.finding_on(
            self.autoscaler,
            evidence=messages(said_by and said_by.message),
            remedies=(CONDITIONS, *remedies),
            facts={"autoscaler": self.autoscaler.name, "scaled": self.scaled, "raised_maximum": patch},
            **given,
        )

    def _never_seen(self) -> Iterator[Finding]:
        since = self.autoscaler.created
        if not self.status.conditions and since is not None:
            seen = f"without any status{lasting(since, self.now)}"
            yield self._finding(observed=seen, expected="looked at by the autoscaler's controller", since=since)

    def _cannot_reach_target(self) -> Iterator[Finding]:
        able = self._condition("AbleToScale", "False")
        # To wait between two steps was a False of its own once; it lasts minutes and is meant to.
        if able is None or (able.reason or "").startswith(_WAITS):
            return
        since, reason = able.last_transition_time or self.autoscaler.created, able.reason or "no reason given"
        yield self._finding(
            *([TARGET] if self.scaled else []),
            observed=f"cannot scale {self.scaled or 'its target'}{lasting(since, self.now)}: {reason}",
            expected="able to scale",
            since=since,
            said_by=able,
        )

    def _cannot_measure(self) -> Iterator[Finding]:
        active = self._condition("ScalingActive", "False")
        if active is None:
            return
        since, reason = active.last_transition_time or self.autoscaler.created, active.reason or "no reason given"
        unread = reason.startswith(_NO_METRIC) and reason not in _SELECTORS
        yield self._finding(
            *([METRICS] if unread else [SAME_TARGET] if reason == "AmbiguousSelector" else []),
            observed=f"{'cannot read its metrics' if unread else 'does not scale'}{lasting(since, self.now)}: {reason}",
            expected="scaling by its metrics",
            since=since,
            said_by=active,
        )

    def _limited(self) -> Iterator[Finding]:
        """
        It is at its maximum and would go on.

        To be at the maximum is no fault where that satisfies the demand (prometheus-community/helm-charts#7278), and
        to be limited is none at the minimum (kubernetes/kubernetes#116387).
        """
        limited, maximum = self._condition("ScalingLimited", "True"), self.maximum
        if (
            limited is None
            or limited.reason != _AT_MAXIMUM
            or not maximum
            or self.is_pinned
            or (self.has or 0) < maximum
        ):
            return
        # The condition keeps its time when it goes from one limit to the other: as to the maximum, the last step knows.
        since = latest(limited.last_transition_time, self.status.last_scale_time) or self.autoscaler.created
        yield self._finding(
            HIGHER_MAXIMUM,
            observed=f"wants more than its maximum of {maximum} replicas{lasting(since, self.now)}",
            expected=f"enough with at most {maximum}",
            since=since,
            said_by=limited,
        )

    def _gets_nowhere(self) -> Iterator[Finding]:
        has, wants, target = self.has, self.status.desired_replicas, self.scaled
        if has is None or wants is None or has == wants:
            return
        since, (kind, _, name) = self.status.last_scale_time or self.autoscaler.created, target.partition("/")
        yield self._finding(
            *([TARGET] if target else []),
            observed=f"wants {wants} replicas of {target or 'its target'} and has {has}{lasting(since, self.now)}",
            expected="as many as it wants",
            since=since,
            said_by=self._condition("AbleToScale", "True"),
            # Of its faults only this one is the workload's. One that lacks a pod still has metrics.
            because=[reference(self.expectation.target, kind, name, self.autoscaler.namespace)] if target else [],
        )
