"""The disruption budgets of a cluster."""

from collections.abc import Sequence

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve
from opscheck.systems.kubernetes.disruption import DisruptionBudgets, ListDisruptionBudgets
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.systems.kubernetes.readings.disruption import Budget, fewest_allowed, stale, tightest, trouble_of
from opscheck.systems.kubernetes.selection import count_matches, listed, matching
from opscheck.systems.kubernetes.troubles import tell
from opscheck.systems.kubernetes.warnings import Warnings
from opscheck.systems.kubernetes.words import not_up_to_date


def test_budgets_have_the_pods_they_ask_for(
    expectation: DisruptionBudgets, observe: Observe, findings: Findings
) -> None:
    """
    Every selected disruption budget has the healthy pods that it asks for.

    While one lacks them, so many pods are down that nobody may take another: the application is near its end, and
    every drain of a node that holds its pods waits.
    """
    there = [one for one in listed(observe, expectation.ask(ListDisruptionBudgets)) if not one.is_terminating]
    pods, warnings = listed(observe, expectation.ask(ListPods)), Warnings(expectation, observe)
    matched = matching(expectation, there)
    count_matches(expectation, there, matched, findings, kind="disruption budgets")
    budgets = [Budget(one, pods) for one in matched]
    for budget in budgets:
        if (trouble := trouble_of(expectation, budget, observe.now)) is not None:
            tell(findings, expectation, trouble, warnings)
    measure(expectation, budgets, findings)
    outdated = {expectation.subject(budget.budget): why for budget in budgets if (why := stale(budget))}
    if (problem := not_up_to_date(outdated)) is not None:
        raise CouldNotObserve(next(iter(expectation.looks_at())), problem)


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
