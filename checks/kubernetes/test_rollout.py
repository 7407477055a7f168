"""The rollouts of a cluster."""

from opscheck import Findings, Observe
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.systems.kubernetes.readings.rollout_findings import (
    about,
    because,
    evidence,
    expected,
    facts,
    judgeable,
    least_available,
    observed,
    selected,
    severity,
    unfinished,
)
from opscheck.systems.kubernetes.remedies import too_few_facts
from opscheck.systems.kubernetes.rollout import RolloutComplete
from opscheck.systems.kubernetes.selection import count_matches, listed
from opscheck.systems.kubernetes.warnings import Warnings
from opscheck.systems.kubernetes.workloads import Workload


def test_rollouts_are_complete(expectation: RolloutComplete, observe: Observe, findings: Findings) -> None:
    """
    Deployments, stateful sets and daemon sets are rolled out: all their pods are up to date and available.

    A rollout that hangs leaves the old version running, or none; the next fault, or the next deployment, meets an
    application that is already one pod short.
    """
    there = workloads(expectation, observe)
    chosen = selected(expectation, there)
    count_matches(
        expectation, there, chosen, findings, kind=expectation.called, facts=too_few_facts(expectation, "workload")
    )
    measure_availability(expectation, chosen, findings)
    warnings = Warnings(expectation, observe)
    for rollout in unfinished(expectation, chosen, listed(observe, expectation.ask(ListPods)), observe.now):
        progress = rollout.progress
        findings.add(
            subject=expectation.subject(progress.workload),
            observed=observed(rollout),
            expected=expected(rollout),
            severity=severity(expectation, rollout),
            since=rollout.overdue.since,
            evidence=(*evidence(rollout), *warnings.about(progress.title, progress.workload)),
            facts=facts(expectation, rollout),
            about=about(expectation, progress),
            because=because(expectation, rollout),
        )


def workloads(expectation: RolloutComplete, observe: Observe) -> tuple[Workload, ...]:
    """Those of the chosen kinds that can be judged."""
    return judgeable(
        (
            *listed(observe, expectation.deployments()),
            *listed(observe, expectation.stateful_sets()),
            *listed(observe, expectation.daemon_sets()),
        )
    )


def measure_availability(expectation: RolloutComplete, chosen: tuple[Workload, ...], findings: Findings) -> None:
    """Record the pods of the workload that is worst off, also when all is well."""
    worst = least_available(chosen)
    if worst is not None:
        findings.measure(
            "available pods",
            worst.available,
            subject=expectation.subject(worst.workload),
            limit=worst.wanted,
            margin=worst.available - worst.wanted,
        )
