"""The disruption budgets of a cluster."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve
from opscheck.core.record import Finding
from opscheck.core.remedy import Fact, Remedy
from opscheck.core.words import counted, some
from opscheck.systems.kubernetes.disruption import (
    MISSING,
    ONE_MORE,
    REPORT,
    ROLLOUT,
    SELECTED,
    UNHEALTHY,
    BudgetStatus,
    DisruptionBudgets,
    ListDisruptionBudgets,
    PodDisruptionBudget,
)
from opscheck.systems.kubernetes.objects import Condition, LabelRequirement, LabelSelector, condition
from opscheck.systems.kubernetes.owners import ROLLED_OUT, owner_reference, reference, top_owner
from opscheck.systems.kubernetes.pod_status import has_ended, is_ready, not_ready_since, phase
from opscheck.systems.kubernetes.pods import ListPods, Pod
from opscheck.systems.kubernetes.selection import count_matches, labels_there, listed, matching
from opscheck.systems.kubernetes.warnings import Warnings
from opscheck.systems.kubernetes.words import lasting, latest, longer_than, messages, not_up_to_date

_SCALED = ("deployment/", "statefulset/")


def test_budgets_have_the_pods_they_ask_for(
    expectation: DisruptionBudgets, observe: Observe, findings: Findings
) -> None:
    """
    Every selected disruption budget has the healthy pods that it asks for.

    While one lacks them, so many pods are down that nobody may take another: the application is near its end, and
    every drain of a node that holds its pods waits.
    """
    there = [one for one in listed(observe, expectation.lists(ListDisruptionBudgets)) if not one.is_terminating]
    pods, warnings = listed(observe, expectation.lists(ListPods)), Warnings(expectation, observe)
    matched = matching(expectation, there)
    count_matches(expectation, there, matched, findings, kind="disruption budgets", remedy=MISSING)
    budgets = [Budget(one, pods) for one in matched]
    for budget in budgets:
        if (finding := fault(expectation, budget, observe.now)) is not None:
            findings.report(warnings.attach(finding, budget.budget))
    measure(expectation, budgets, findings)
    outdated = {expectation.subject(budget.budget): why for budget in budgets if (why := stale(budget))}
    if (problem := not_up_to_date(outdated)) is not None:
        raise CouldNotObserve(next(iter(expectation.queries())), problem)


@dataclass(frozen=True)
class Budget:
    """A disruption budget among the pods that were listed."""

    budget: PodDisruptionBudget
    listed: tuple[Pod, ...]

    @property
    def status(self) -> BudgetStatus:
        """What the controller counted."""
        return self.budget.status or BudgetStatus()

    @property
    def selector(self) -> LabelSelector | None:
        """Which pods it means."""
        return self.budget.spec and self.budget.spec.selector

    @cached_property
    def there(self) -> tuple[Pod, ...]:
        """The pods of its namespace."""
        return tuple(pod for pod in self.listed if pod.namespace == self.budget.namespace)

    @cached_property
    def pods(self) -> tuple[Pod, ...]:
        """The pods it is about, in the order of their names. Without a selector it is about none."""
        selector = self.selector
        chosen = (pod for pod in self.there if selector is not None and selector.matches(pod.labels))
        return tuple(sorted(chosen, key=lambda pod: pod.name))

    @property
    def unhealthy(self) -> tuple[Pod, ...]:
        """Those of its pods that do not serve and should."""
        return tuple(pod for pod in self.pods if not is_ready(pod) and not has_ended(pod))

    @property
    def disallowed(self) -> Condition | None:
        """The condition by which no pod may be evicted now."""
        found = condition(self.status.conditions, "DisruptionAllowed")
        return found if found is not None and found.status == "False" else None

    @property
    def seen(self) -> bool:
        """True when its controller has looked at it once; until then every number is 0."""
        return bool(self.status.observed_generation or self.status.conditions)

    @property
    def missing(self) -> int:
        """How many healthy pods it lacks."""
        return (self.status.desired_healthy or 0) - (self.status.current_healthy or 0)

    @property
    def counted(self) -> str:
        """Its numbers in words."""
        return (
            f"{self.status.current_healthy or 0} of {self.status.expected_pods or 0} pods healthy, "
            f"{self.status.desired_healthy or 0} wanted"
        )


def stale(budget: Budget) -> str:
    """Why its numbers are those of an older spec; empty when they are not."""
    spec, seen = budget.budget.metadata and budget.budget.metadata.generation, budget.status.observed_generation
    return f"generation {spec}, looked at as {seen}" if spec and seen and seen < spec else ""


def fault(expectation: DisruptionBudgets, budget: Budget, now: datetime) -> Finding | None:
    """What is wrong with it for longer than the grace; None when nothing is."""
    kinds = (_never_seen, _not_synchronised, _too_few_healthy, _too_few_pods, _too_tight)
    found = (finding for kind in kinds for finding in kind(expectation, budget, now))
    return next((one for one in found if longer_than(expectation.grace, one.since, now)), None)


def _finding(
    expectation: DisruptionBudgets,
    budget: Budget,
    *remedies: Remedy,
    facts: Mapping[str, Fact] | None = None,
    **given: Any,
) -> Finding:
    return expectation.finding_on(
        budget.budget,
        remedies=(REPORT, *remedies),
        facts={"budget": budget.budget.name, "pod_selector": as_text(budget.selector), **(facts or {})},
        **given,
    )


def _never_seen(expectation: DisruptionBudgets, budget: Budget, now: datetime) -> Iterator[Finding]:
    if not budget.seen and budget.budget.created is not None:
        yield _finding(
            expectation,
            budget,
            observed=f"without any status{lasting(budget.budget.created, now)}",
            expected="looked at by the disruption controller",
            since=budget.budget.created,
        )


def _not_synchronised(expectation: DisruptionBudgets, budget: Budget, now: datetime) -> Iterator[Finding]:
    failed = budget.disallowed
    if failed is not None and failed.reason == "SyncFailed":
        yield _finding(
            expectation,
            budget,
            observed=f"its pods cannot be counted{lasting(failed.last_transition_time, now)}: SyncFailed",
            expected="pods that the disruption controller can count",
            since=failed.last_transition_time,
            evidence=messages(failed.message),
        )


def _too_few_healthy(expectation: DisruptionBudgets, budget: Budget, now: datetime) -> Iterator[Finding]:
    if budget.missing <= 0:
        return
    since = latest(_disallowed_since(budget), _short_since(budget)) or budget.budget.created
    workload = _rolled_out(budget)
    yield _finding(
        expectation,
        budget,
        *([UNHEALTHY] if as_text(budget.selector) else []),
        *([ROLLOUT] if workload else []),
        observed=f"{budget.counted}{lasting(since, now)}",
        expected=f"at least {budget.status.desired_healthy} healthy",
        since=since,
        evidence=_about_pods(budget),
        facts={"workload": workload},
        because=because(expectation, budget),
    )


def _disallowed_since(budget: Budget) -> datetime | None:
    return budget.disallowed and budget.disallowed.last_transition_time


def _short_since(budget: Budget) -> datetime | None:
    """
    When the last pod that it could spare went, as the pods tell.

    The condition cannot: where no pod may ever be evicted, it has been False for as long as the budget is there.
    """
    spare = (budget.status.expected_pods or 0) - (budget.status.desired_healthy or 0)
    went = sorted(since for pod in budget.unhealthy if (since := _went(pod)))
    return went[spare] if 0 <= spare < len(went) else None


def _went(pod: Pod) -> datetime | None:
    # Until its grace period ends, a pod that goes may still serve.
    return pod.deletion_due or not_ready_since(pod)


def _too_few_pods(expectation: DisruptionBudgets, budget: Budget, _: datetime) -> Iterator[Finding]:
    expected = budget.status.expected_pods or 0
    if not budget.seen or expected >= expectation.min_pods:
        return
    yield _finding(
        expectation,
        budget,
        *([SELECTED] if as_text(budget.selector) else []),
        observed=f"{counted(expected, 'pod')}{'' if budget.pods else ', its selector matches none'}",
        expected=f"at least {expectation.min_pods}",
        since=budget.budget.created,
        evidence=_about_labels(budget),
    )


def _too_tight(expectation: DisruptionBudgets, budget: Budget, now: datetime) -> Iterator[Finding]:
    limit, allowed = expectation.allowed, budget.status.disruptions_allowed
    if limit is None or allowed is None or not budget.status.expected_pods:
        return
    severity, since, workload = limit.severity(allowed), _disallowed_since(budget), _scalable(budget)
    if severity is not None:
        yield _finding(
            expectation,
            budget,
            *([ONE_MORE] if workload else []),
            observed=f"{counted(allowed, 'disruption')} allowed{lasting(since, now)} ({budget.counted})",
            expected=f"at least {limit.limit(allowed)}",
            severity=severity,
            since=since,
            evidence=_about_pods(budget),
            facts={"workload": workload, "one_more": budget.status.expected_pods + 1},
            because=because(expectation, budget),
        )


def _scalable(budget: Budget) -> str:
    """What all its pods belong to, where they are healthy and it may get one replica more; else empty."""
    owners = {top_owner(pod) for pod in budget.pods}
    if budget.unhealthy or len(owners) != 1 or not (owner := owners.pop()).startswith(_SCALED):
        return ""
    return owner


def because(expectation: DisruptionBudgets, budget: Budget) -> tuple[str, ...]:
    """The nodes, the workloads and the pods that would explain why it is short."""
    target, unhealthy = expectation.target, budget.unhealthy
    nodes = sorted({pod.node for pod in unhealthy if pod.node})
    owners = sorted({owner for pod in unhealthy if (owner := owner_reference(target, pod))})
    pods = [reference(target, "pod", pod.name, pod.namespace) for pod in unhealthy]
    return (*(reference(target, "node", node) for node in nodes), *owners, *pods)


def _rolled_out(budget: Budget) -> str:
    """What most of its unhealthy pods belong to, where kubectl can roll that out; else empty."""
    owners = Counter(top_owner(pod) for pod in budget.unhealthy)
    rolled = [(-count, owner) for owner, count in owners.items() if owner.startswith(ROLLED_OUT)]
    return min(rolled, default=(0, ""))[1]


def _about_pods(budget: Budget) -> Iterator[str]:
    unhealthy = budget.unhealthy
    if unhealthy:
        yield f"not healthy: {some(map(_called, unhealthy))}"
    if ended := sum(phase(pod) == "Succeeded" for pod in budget.pods):
        # kubernetes/kubernetes#78427
        yield f"complete, and for ever unhealthy to it: {ended} of the pods that it selects"
    if budget.selector is not None and budget.selector.is_empty:
        yield "its selector is empty and means every pod of the namespace"


def _called(pod: Pod) -> str:
    return f"{pod.name} on {pod.node}" if pod.node else pod.name


def _about_labels(budget: Budget) -> Iterator[str]:
    selector = budget.selector
    if selector is None:
        yield "it has no selector, and so means no pod"
        return
    yield f"its selector: {as_text(selector) or 'empty, which means every pod of the namespace'}"
    expressions = (one.key or "" for one in selector.match_expressions or ())
    yield from labels_there((*(selector.match_labels or {}), *expressions), budget.there)


def as_text(selector: LabelSelector | None) -> str:
    """As kubectl takes it: `app=web,tier in (a,b)`; empty for one that is empty, or that kubectl cannot say."""
    if selector is None:
        return ""
    equal = [f"{key}={value}" for key, value in sorted((selector.match_labels or {}).items())]
    expressions = [_requirement(one) for one in selector.match_expressions or ()]
    return ",".join((*equal, *expressions)) if all(expressions) else ""


def _requirement(one: LabelRequirement) -> str:
    key, values = one.key or "", ",".join(sorted(one.values or ()))
    words = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key, "DoesNotExist": f"!{key}"}
    return words.get(one.operator or "", "")


def fewest_allowed(budgets: Iterable[Budget]) -> Budget | None:
    """The budget that allows the fewest evictions, of those that are about any pod."""
    about = [one for one in budgets if one.seen and one.status.expected_pods]
    return min(about, key=lambda one: one.status.disruptions_allowed or 0, default=None)


def tightest(budgets: Iterable[Budget]) -> Budget | None:
    """The budget with the fewest healthy pods to spare."""
    return min((one for one in budgets if one.seen), key=lambda one: -one.missing, default=None)


def measure(expectation: DisruptionBudgets, budgets: Sequence[Budget], findings: Findings) -> None:
    """Record how near the nearest budget is to its limits."""
    if (least := tightest(budgets)) is not None:
        healthy, asked = least.status.current_healthy or 0, least.status.desired_healthy or 0
        name = expectation.subject(least.budget)
        findings.measure("healthy pods", healthy, subject=name, limit=asked, margin=healthy - asked)
    if (least := fewest_allowed(budgets)) is not None:
        allowed, limit = least.status.disruptions_allowed or 0, expectation.allowed
        findings.measure(
            "disruptions allowed",
            allowed,
            subject=expectation.subject(least.budget),
            limit=None if limit is None else limit.limit(allowed),
            margin=None if limit is None else limit.margin(allowed),
        )
