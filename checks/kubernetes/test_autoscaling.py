"""The horizontal pod autoscalers of a cluster."""

import json
from collections.abc import Iterable, Iterator
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
    ListAutoscalers,
)
from opscheck.systems.kubernetes.autoscaling import (
    HorizontalPodAutoscaler as Autoscaler,
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
    for autoscaler in matched:
        if (finding := obstacle(expectation, autoscaler, observe.now)) is not None:
            findings.report(warnings.attach(finding, autoscaler))
    if (found := fullest(matched)) is not None:
        name, replicas, maximum = expectation.subject(found.autoscaler), found.replicas, found.maximum
        findings.measure("replicas", replicas, subject=name, limit=maximum, margin=maximum - replicas)


def obstacle(expectation: Autoscaling, autoscaler: Autoscaler, now: datetime) -> Finding | None:
    """What keeps it from scaling for longer than the grace; None when nothing does, or when nobody wants it to."""
    if _is_off(autoscaler):
        return None
    kinds = (_never_seen, _cannot_reach_target, _cannot_measure, _wants_more_than_it_may, _gets_nowhere)
    found = (finding for kind in kinds for finding in kind(expectation, autoscaler, now))
    return next((one for one in found if longer_than(expectation.grace, one.since, now)), None)


def _finding(
    expectation: Autoscaling,
    autoscaler: Autoscaler,
    since: datetime | None,
    *remedies: Remedy,
    said_by: Condition | None = None,
    **given: Any,
) -> Finding:
    maximum = _spec(autoscaler).max_replicas or 0
    return expectation.finding_on(
        autoscaler,
        since=since,
        evidence=messages(said_by and said_by.message),
        remedies=(CONDITIONS, *remedies),
        facts={"autoscaler": autoscaler.name, "scaled": scaled(autoscaler), "raised_maximum": _patch(2 * maximum)},
        **given,
    )


def _spec(autoscaler: Autoscaler) -> AutoscalerSpec:
    return autoscaler.spec or AutoscalerSpec()


def _status(autoscaler: Autoscaler) -> AutoscalerStatus:
    return autoscaler.status or AutoscalerStatus()


def _condition(autoscaler: Autoscaler, kind: str, status: str) -> Condition | None:
    found = condition(_status(autoscaler).conditions, kind)
    return found if found is not None and found.status == status else None


def _is_off(autoscaler: Autoscaler) -> bool:
    """True when its target was scaled to none by hand, which switches an autoscaler off."""
    active = _condition(autoscaler, "ScalingActive", "False")
    return active is not None and active.reason == _SCALED_TO_NONE


def scaled(autoscaler: Autoscaler) -> str:
    """What it scales, as kubectl takes it: `deployment/api`; empty where it does not say."""
    target = _spec(autoscaler).scale_target_ref
    return f"{target.kind.lower()}/{target.name}" if target and target.kind and target.name else ""


def _never_seen(expectation: Autoscaling, autoscaler: Autoscaler, now: datetime) -> Iterator[Finding]:
    since, expected = autoscaler.created, "looked at by the autoscaler's controller"
    if not _status(autoscaler).conditions and since is not None:
        seen = f"without any status{lasting(since, now)}"
        yield _finding(expectation, autoscaler, since, observed=seen, expected=expected)


def _cannot_reach_target(expectation: Autoscaling, autoscaler: Autoscaler, now: datetime) -> Iterator[Finding]:
    able, target = _condition(autoscaler, "AbleToScale", "False"), scaled(autoscaler)
    # To wait between two steps was a False of its own once; it lasts minutes and is meant to.
    if able is None or (able.reason or "").startswith(_WAITS):
        return
    since = able.last_transition_time or autoscaler.created
    yield _finding(
        expectation,
        autoscaler,
        since,
        *([TARGET] if target else []),
        observed=f"cannot scale {target or 'its target'}{lasting(since, now)}: {able.reason or 'no reason given'}",
        expected="able to scale",
        said_by=able,
    )


def _cannot_measure(expectation: Autoscaling, autoscaler: Autoscaler, now: datetime) -> Iterator[Finding]:
    active = _condition(autoscaler, "ScalingActive", "False")
    if active is None:
        return
    since = active.last_transition_time or autoscaler.created
    reason = active.reason or "no reason given"
    unread = reason.startswith(_NO_METRIC) and reason not in _SELECTORS
    yield _finding(
        expectation,
        autoscaler,
        since,
        *([METRICS] if unread else [SAME_TARGET] if reason == "AmbiguousSelector" else []),
        observed=f"{'cannot read its metrics' if unread else 'does not scale'}{lasting(since, now)}: {reason}",
        expected="scaling by its metrics",
        said_by=active,
    )


def _wants_more_than_it_may(expectation: Autoscaling, autoscaler: Autoscaler, now: datetime) -> Iterator[Finding]:
    """
    It is at its maximum and would go on.

    To be at the maximum is no trouble where that satisfies the demand (prometheus-community/helm-charts#7278), and
    to be limited is none at the minimum (kubernetes/kubernetes#116387).
    """
    limited, maximum = _condition(autoscaler, "ScalingLimited", "True"), _spec(autoscaler).max_replicas
    if limited is None or limited.reason != _AT_MAXIMUM or not maximum or _is_pinned(autoscaler):
        return
    if (_status(autoscaler).current_replicas or 0) < maximum:
        return
    # The condition keeps its time when it goes from one limit to the other: as to the maximum, the last step knows.
    since = latest(limited.last_transition_time, _status(autoscaler).last_scale_time) or autoscaler.created
    yield _finding(
        expectation,
        autoscaler,
        since,
        HIGHER_MAXIMUM,
        observed=f"wants more than its maximum of {maximum} replicas{lasting(since, now)}",
        expected=f"enough with at most {maximum}",
        said_by=limited,
    )


def _patch(maximum: int) -> str:
    return json.dumps({"spec": {"maxReplicas": maximum}}, separators=(",", ":"))


def _is_pinned(autoscaler: Autoscaler) -> bool:
    least = _spec(autoscaler).min_replicas
    return (1 if least is None else least) == _spec(autoscaler).max_replicas


def _gets_nowhere(expectation: Autoscaling, autoscaler: Autoscaler, now: datetime) -> Iterator[Finding]:
    status, target = _status(autoscaler), scaled(autoscaler)
    has, wants = status.current_replicas, status.desired_replicas
    if has is None or wants is None or has == wants:
        return
    since, (kind, _, name) = status.last_scale_time or autoscaler.created, target.partition("/")
    yield _finding(
        expectation,
        autoscaler,
        since,
        *([TARGET] if target else []),
        observed=f"wants {wants} replicas of {target or 'its target'} and has {has}{lasting(since, now)}",
        expected="as many as it wants",
        said_by=_condition(autoscaler, "AbleToScale", "True"),
        # Of the problems of an autoscaler only this one is the workload's. One that lacks a pod still has metrics.
        because=(reference(expectation.target, kind, name, autoscaler.namespace),) if target else (),
    )


@dataclass(frozen=True)
class Fill:
    """How many replicas an autoscaler has of those that it may have."""

    autoscaler: Autoscaler
    replicas: int
    maximum: int


def fullest(autoscalers: Iterable[Autoscaler]) -> Fill | None:
    """The autoscaler that is nearest to its maximum, of those that may have more than one size."""
    known = [
        Fill(one, has, maximum)
        for one in autoscalers
        if (maximum := _spec(one).max_replicas) and (has := _status(one).current_replicas) is not None
        if not _is_pinned(one)
    ]
    return max(known, key=lambda one: one.replicas / one.maximum, default=None)
