"""The horizontal pod autoscalers of a cluster."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from opscheck import Findings, Observe
from opscheck.systems.kubernetes.autoscaling import (
    AutoscalerSpec,
    AutoscalerStatus,
    Autoscaling,
    HorizontalPodAutoscaler,
    ListAutoscalers,
)
from opscheck.systems.kubernetes.objects import Condition, condition
from opscheck.systems.kubernetes.owners import reference
from opscheck.systems.kubernetes.selection import count_matches, listed, matching
from opscheck.systems.kubernetes.troubles import Trouble, tell
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
    there = [one for one in listed(observe, expectation.ask(ListAutoscalers)) if not one.is_terminating]
    matched, warnings = matching(expectation, there), Warnings(expectation, observe)
    count_matches(expectation, there, matched, findings, kind="autoscalers")
    for autoscaler in matched:
        if (trouble := trouble_of(expectation, autoscaler, observe.now)) is not None:
            tell(findings, expectation, trouble, warnings)
    if (found := fullest(matched)) is not None:
        name, replicas, maximum = expectation.subject(found.autoscaler), found.replicas, found.maximum
        findings.measure("replicas", replicas, subject=name, limit=maximum, margin=maximum - replicas)


def trouble_of(expectation: Autoscaling, autoscaler: HorizontalPodAutoscaler, now: datetime) -> Trouble | None:
    """What keeps it from scaling for longer than the grace; None when nothing does, or when nobody wants it to."""
    if _is_off(autoscaler):
        return None
    return next(_troubles(expectation, autoscaler, now), None)


def _troubles(expectation: Autoscaling, autoscaler: HorizontalPodAutoscaler, now: datetime) -> Iterator[Trouble]:
    for trouble in (
        *_never_seen(autoscaler, now),
        *_cannot_reach_target(autoscaler, now),
        *_cannot_measure(autoscaler, now),
        *_wants_more_than_it_may(autoscaler, now),
        *_gets_nowhere(expectation, autoscaler, now),
    ):
        if longer_than(expectation.grace, trouble.since, now):
            yield replace(trouble, facts={"autoscaler": autoscaler.name, **trouble.facts})


def _spec(autoscaler: HorizontalPodAutoscaler) -> AutoscalerSpec:
    return autoscaler.spec or AutoscalerSpec()


def _status(autoscaler: HorizontalPodAutoscaler) -> AutoscalerStatus:
    return autoscaler.status or AutoscalerStatus()


def _condition(autoscaler: HorizontalPodAutoscaler, kind: str, status: str) -> Condition | None:
    found = condition(_status(autoscaler).conditions, kind)
    return found if found is not None and found.status == status else None


def _is_off(autoscaler: HorizontalPodAutoscaler) -> bool:
    """True when its target was scaled to none by hand, which switches an autoscaler off."""
    active = _condition(autoscaler, "ScalingActive", "False")
    return active is not None and active.reason == _SCALED_TO_NONE


def scaled(autoscaler: HorizontalPodAutoscaler) -> str:
    """What it scales, as kubectl takes it: `deployment/api`; empty where it does not say."""
    target = _spec(autoscaler).scale_target_ref
    return f"{target.kind.lower()}/{target.name}" if target and target.kind and target.name else ""


def _targets(expectation: Autoscaling, autoscaler: HorizontalPodAutoscaler) -> tuple[str, ...]:
    kind, _, name = scaled(autoscaler).partition("/")
    return (reference(expectation.target, kind, name, autoscaler.namespace),) if name else ()


def _unscaled(autoscaler: HorizontalPodAutoscaler) -> dict[str, str]:
    return {"unscaled": target} if (target := scaled(autoscaler)) else {}


def _never_seen(autoscaler: HorizontalPodAutoscaler, now: datetime) -> Iterator[Trouble]:
    if not _status(autoscaler).conditions and autoscaler.created is not None:
        yield Trouble(
            autoscaler,
            f"without any status{lasting(autoscaler.created, now)}",
            "looked at by the autoscaler's controller",
            autoscaler.created,
        )


def _cannot_reach_target(autoscaler: HorizontalPodAutoscaler, now: datetime) -> Iterator[Trouble]:
    able = _condition(autoscaler, "AbleToScale", "False")
    # To wait between two steps was a False of its own once; it lasts minutes and is meant to.
    if able is None or (able.reason or "").startswith(_WAITS):
        return
    since = able.last_transition_time or autoscaler.created
    yield Trouble(
        autoscaler,
        f"cannot scale {scaled(autoscaler) or 'its target'}{lasting(since, now)}: {able.reason or 'no reason given'}",
        "able to scale",
        since,
        messages(able.message),
        _unscaled(autoscaler),
    )


def _cannot_measure(autoscaler: HorizontalPodAutoscaler, now: datetime) -> Iterator[Trouble]:
    active = _condition(autoscaler, "ScalingActive", "False")
    if active is None:
        return
    since = active.last_transition_time or autoscaler.created
    reason = active.reason or "no reason given"
    unread = reason.startswith(_NO_METRIC) and reason not in _SELECTORS
    facts = {"unmeasured": autoscaler.name} if unread else {}
    facts |= {"ambiguous": autoscaler.name} if reason == "AmbiguousSelector" else {}
    yield Trouble(
        autoscaler,
        f"{'cannot read its metrics' if unread else 'does not scale'}{lasting(since, now)}: {reason}",
        "scaling by its metrics",
        since,
        messages(active.message),
        facts,
    )


def _wants_more_than_it_may(autoscaler: HorizontalPodAutoscaler, now: datetime) -> Iterator[Trouble]:
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
    yield Trouble(
        autoscaler,
        f"wants more than its maximum of {maximum} replicas{lasting(since, now)}",
        f"enough with at most {maximum}",
        since,
        messages(limited.message),
        {"maxed": autoscaler.name, "raised_maximum": _patch(2 * maximum)},
    )


def _patch(maximum: int) -> str:
    return json.dumps({"spec": {"maxReplicas": maximum}}, separators=(",", ":"))


def _is_pinned(autoscaler: HorizontalPodAutoscaler) -> bool:
    least = _spec(autoscaler).min_replicas
    return (1 if least is None else least) == _spec(autoscaler).max_replicas


def _gets_nowhere(expectation: Autoscaling, autoscaler: HorizontalPodAutoscaler, now: datetime) -> Iterator[Trouble]:
    has, wants = _status(autoscaler).current_replicas, _status(autoscaler).desired_replicas
    if has is None or wants is None or has == wants:
        return
    since, able = (
        _status(autoscaler).last_scale_time or autoscaler.created,
        _condition(autoscaler, "AbleToScale", "True"),
    )
    yield Trouble(
        autoscaler,
        f"wants {wants} replicas of {scaled(autoscaler) or 'its target'} and has {has}{lasting(since, now)}",
        "as many as it wants",
        since,
        messages(able and able.message),
        _unscaled(autoscaler),
        # Of the troubles of an autoscaler only this one is the workload's. One that lacks a pod still has metrics.
        because=_targets(expectation, autoscaler),
    )


@dataclass(frozen=True)
class Fill:
    """How many replicas an autoscaler has of those that it may have."""

    autoscaler: HorizontalPodAutoscaler
    replicas: int
    maximum: int


def fullest(autoscalers: Iterable[HorizontalPodAutoscaler]) -> Fill | None:
    """The autoscaler that is nearest to its maximum, of those that may have more than one size."""
    known = [
        Fill(one, has, maximum)
        for one in autoscalers
        if (maximum := _spec(one).max_replicas) and (has := _status(one).current_replicas) is not None
        if not _is_pinned(one)
    ]
    return max(known, key=lambda one: one.replicas / one.maximum, default=None)
