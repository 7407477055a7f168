"""The disruption budgets of a cluster."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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
from opscheck.systems.kubernetes.objects import (
    ROLLED_OUT,
    Condition,
    LabelRequirement,
    LabelSelector,
    condition,
    owner_reference,
    reference,
)
from opscheck.systems.kubernetes.pods import ListPods, Pod
from opscheck.systems.kubernetes.selection import count_matches, labels_there, listed, matching
from opscheck.systems.kubernetes.warnings import Warnings
from opscheck.systems.kubernetes.words import lasting, latest, longer_than, messages, not_up_to_date

_SCALED = ("deployment/", "statefulset/")


def test_budgets_have_the_pods_they_ask_for(
    expectation: DisruptionBudgets, observe: Observe, findings: Findings
) -> None:
    """
    Every selected disruption budget has the healthy pods that it requires.

    Without them no further pod may be evicted: the application is close to an outage, and every drain of its nodes
    waits.
    """
    there = [one for one in listed(observe, expectation.lists(ListDisruptionBudgets)) if not one.is_terminating]
    pods, warnings = listed(observe, expectation.lists(ListPods)), Warnings(expectation, observe)
    matched = matching(expectation, there)
    count_matches(expectation, there, matched, findings, kind="disruption budgets", remedy=MISSING)
    budgets = [Budget(expectation, one, pods, observe.now) for one in matched]
    for budget in budgets:
        if (finding := budget.fault) is not None:
            findings.report(warnings.attach(finding, budget.budget))
    measure(expectation, budgets, findings)
    outdated = {expectation.subject(budget.budget): budget.stale for budget in budgets if budget.stale}
    if (problem := not_up_to_date(outdated)) is not None:
        raise CouldNotObserve(next(iter(expectation.queries())), problem)


def measure(expectation: DisruptionBudgets, budgets: Sequence["Budget"], findings: Findings) -> None:
    """Record the smallest margins of all budgets: healthy pods to spare, and allowed evictions."""
    seen = [one for one in budgets if one.seen]
    if (least := min(seen, key=lambda one: -one.missing, default=None)) is not None:
        healthy, asked = least.status.current_healthy or 0, least.status.desired_healthy or 0
        name = expectation.subject(least.budget)
        findings.measure("healthy pods", healthy, subject=name, limit=asked, margin=healthy - asked)
    about_pods = (one for one in seen if one.status.expected_pods)
    if (least := min(about_pods, key=lambda one: one.status.disruptions_allowed or 0, default=None)) is not None:
        name, graded = expectation.subject(least.budget), expectation.allowed
        allowed = least.status.disruptions_allowed or 0
        limit, margin = (graded.limit(allowed), graded.margin(allowed)) if graded else (None, None)
        findings.measure("disruptions allowed", allowed, subject=name, limit=limit, margin=margin)


@dataclass(frozen=True)
class Budget:
    """A disruption budget and the listed pods."""

    expectation: DisruptionBudgets
    budget: PodDisruptionBudget
    listed: tuple[Pod, ...]
    now: datetime

    @property
    def status(self) -> BudgetStatus:
        return self.budget.status or BudgetStatus()

    @property
    def selector(self) -> LabelSelector | None:
        return self.budget.spec and self.budget.spec.selector

    @cached_property
    def there(self) -> tuple[Pod, ...]:
        return tuple(pod for pod in self.listed if pod.namespace == self.budget.namespace)

    @cached_property
    def pods(self) -> tuple[Pod, ...]:
        """The selected pods, sorted by name; none without a selector."""
        selector = self.selector
        chosen = (pod for pod in self.there if selector is not None and selector.matches(pod.labels))
        return tuple(sorted(chosen, key=lambda pod: pod.name))

    @cached_property
    def unhealthy(self) -> tuple[Pod, ...]:
        """Its pods that should serve and do not."""
        return tuple(pod for pod in self.pods if not pod.is_ready and not pod.has_ended)

    @property
    def disallowed(self) -> Condition | None:
        """The condition that forbids evictions now."""
        return condition(self.status.conditions, "DisruptionAllowed", "False")

    @property
    def disallowed_since(self) -> datetime | None:
        return self.disallowed and self.disallowed.last_transition_time

    @property
    def seen(self) -> bool:
        """True after its controller has processed it once; before that every number is 0."""
        return bool(self.status.observed_generation or self.status.conditions)

    @property
    def stale(self) -> str:
        """The text that its numbers describe an older spec; empty when they do not."""
        spec, seen = self.budget.metadata and self.budget.metadata.generation, self.status.observed_generation
        return f"generation {spec}, observed {seen}" if spec and seen and seen < spec else ""

    @property
    def missing(self) -> int:
        return (self.status.desired_healthy or 0) - (self.status.current_healthy or 0)

    @property
    def counted(self) -> str:
        status = self.status
        return f"{status.current_healthy or 0} of {counted(status.expected_pods or 0, 'pod')} healthy"

    @property
    def required(self) -> str:
        return f"minimum {self.status.desired_healthy or 0}"

    @property
    def fault(self) -> Finding | None:
        kinds = (self._never_seen, self._not_synchronised, self._too_few_healthy, self._too_few_pods, self._too_tight)
        found = (finding for kind in kinds for finding in kind())
        return next((one for one in found if longer_than(self.expectation.grace, one.since, self.now)), None)

    def _finding(
        self, observed: str, expected: str, *remedies: Remedy, facts: Mapping[str, Fact] | None = None, **given: Any
    ) -> Finding:
        return self.expectation.finding_on(
            self.budget,
            observed=observed,
            expected=expected,
            remedies=(REPORT, *remedies),
            facts={"budget": self.budget.name, "pod_selector": as_text(self.selector), **(facts or {})},
            **given,
        )

    def _never_seen(self) -> Iterator[Finding]:
        since = self.budget.created
        if not self.seen and since is not None:
            seen = f"no status{lasting(since, self.now)}"
            yield self._finding(seen, "a status from the disruption controller", since=since)

    def _not_synchronised(self) -> Iterator[Finding]:
        failed = self.disallowed
        if failed is not None and failed.reason == "SyncFailed":
            since, said = failed.last_transition_time, messages(failed.message)
            observed = f"pods cannot be counted{lasting(since, self.now)}: SyncFailed"
            expected = "pods that the disruption controller can count"
            yield self._finding(observed, expected, since=since, evidence=said)

    def _too_few_healthy(self) -> Iterator[Finding]:
        if self.missing <= 0:
            return
        since, workload = latest(self.disallowed_since, self._short_since()) or self.budget.created, self._rolled_out()
        yield self._finding(
            f"{self.counted}{lasting(since, self.now)} ({self.required})",
            f">= {self.status.desired_healthy} healthy",
            *([UNHEALTHY] if as_text(self.selector) else []),
            *([ROLLOUT] if workload else []),
            since=since,
            evidence=self._about_pods(),
            facts={"workload": workload},
            because=self._because(),
        )

    def _short_since(self) -> datetime | None:
        """
        The time when its last spare pod went, by the times of the pods.

        The condition has another time: where no pod may ever be evicted, it is False since the budget was created.
        """
        spare = (self.status.expected_pods or 0) - (self.status.desired_healthy or 0)
        # A terminating pod may serve until its grace period ends.
        went = sorted(since for pod in self.unhealthy if (since := pod.deletion_due or pod.not_ready_since))
        return went[spare] if 0 <= spare < len(went) else None

    def _rolled_out(self) -> str:
        """The owner of most unhealthy pods, if `kubectl rollout` supports it; else empty."""
        owners = Counter(pod.top_owner for pod in self.unhealthy)
        rolled = [(-count, owner) for owner, count in owners.items() if owner.startswith(ROLLED_OUT)]
        return min(rolled, default=(0, ""))[1]

    def _too_few_pods(self) -> Iterator[Finding]:
        expected = self.status.expected_pods or 0
        if self.seen and expected < self.expectation.min_pods:
            yield self._finding(
                f"{counted(expected, 'pod')}{'' if self.pods else ': no pod matches its selector'}",
                f">= {self.expectation.min_pods}",
                *([SELECTED] if as_text(self.selector) else []),
                since=self.budget.created,
                evidence=self._about_labels(),
            )

    def _too_tight(self) -> Iterator[Finding]:
        limit, allowed, pods = self.expectation.allowed, self.status.disruptions_allowed, self.status.expected_pods
        if limit is None or allowed is None or not pods or (severity := limit.severity(allowed)) is None:
            return
        since, workload = self.disallowed_since, self._scalable()
        yield self._finding(
            f"{counted(allowed, 'disruption')} allowed{lasting(since, self.now)} ({self.counted}, {self.required})",
            f">= {limit.limit(allowed)}",
            *([ONE_MORE] if workload else []),
            severity=severity,
            since=since,
            evidence=self._about_pods(),
            facts={"workload": workload, "one_more": pods + 1},
            because=self._because(),
        )

    def _scalable(self) -> str:
        """The owner of all its pods, if they are healthy and it can be scaled; else empty."""
        owner, *others = {pod.top_owner for pod in self.pods} or {""}
        return owner if not self.unhealthy and not others and owner.startswith(_SCALED) else ""

    def _because(self) -> tuple[str, ...]:
        """The nodes, workloads and pods that would explain the shortage."""
        target, unhealthy = self.expectation.target, self.unhealthy
        nodes = sorted({pod.node for pod in unhealthy if pod.node})
        owners = sorted({owner for pod in unhealthy if (owner := owner_reference(target, pod))})
        pods = [reference(target, "pod", pod.name, pod.namespace) for pod in unhealthy]
        return (*(reference(target, "node", node) for node in nodes), *owners, *pods)

    def _about_pods(self) -> Iterator[str]:
        if self.unhealthy:
            names = (f"{pod.name} on {pod.node}" if pod.node else pod.name for pod in self.unhealthy)
            yield f"not healthy: {some(names)}"
        if ended := sum(pod.phase == "Succeeded" for pod in self.pods):
            # kubernetes/kubernetes#78427
            yield f"{counted(ended, 'completed pod')} that the budget counts as unhealthy forever"
        if self.selector is not None and self.selector.is_empty:
            yield "its empty selector selects every pod of the namespace"

    def _about_labels(self) -> Iterator[str]:
        selector = self.selector
        if selector is None:
            yield "without a selector it selects no pod"
            return
        yield f"its selector: {as_text(selector) or 'empty, which selects every pod of the namespace'}"
        expressions = (one.key or "" for one in selector.match_expressions or ())
        yield from labels_there((*(selector.match_labels or {}), *expressions), self.there)


def as_text(selector: LabelSelector | None) -> str:
    """In kubectl's format: `app=web,tier in (a,b)`; empty for an empty one, or one that kubectl does not support."""
    selector = selector or LabelSelector()
    equal = [f"{key}={value}" for key, value in sorted((selector.match_labels or {}).items())]
    expressions = [_requirement(one) for one in selector.match_expressions or ()]
    return ",".join((*equal, *expressions)) if all(expressions) else ""


def _requirement(one: LabelRequirement) -> str:
    key, values = one.key or "", ",".join(sorted(one.values or ()))
    words = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key, "DoesNotExist": f"!{key}"}
    return words.get(one.operator or "", "")
