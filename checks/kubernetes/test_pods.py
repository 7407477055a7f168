"""The pods of a cluster."""

from opscheck import Findings, Observe
from opscheck.core.words import counted
from opscheck.systems.kubernetes.pods import ListPods, PodsHealthy
from opscheck.systems.kubernetes.readings.findings import (
    about,
    because,
    facts,
    most_restarts,
    observed,
    out_of_memory_pods,
    subject,
    troubles,
)
from opscheck.systems.kubernetes.readings.selection import Selection, seen_instead, select_pods
from opscheck.systems.kubernetes.remedies import too_few_facts
from opscheck.systems.kubernetes.selection import listed
from opscheck.systems.kubernetes.warnings import Warnings


def test_the_pods_are_well(expectation: PodsHealthy, observe: Observe, findings: Findings) -> None:
    """
    Every selected pod runs and is ready, or is complete by design, and there are enough of them.

    A pod that crashes, cannot start or is not ready serves nobody, and its work falls on the others; when the last
    one goes, so does the application.
    """
    selection = select_pods(expectation, listed(observe, expectation.ask(ListPods)))
    warnings, target = Warnings(expectation, observe), expectation.target
    count_pods(expectation, selection, findings)
    for trouble in troubles(expectation, selection, observe.now):
        findings.add(
            subject=subject(expectation, trouble),
            observed=observed(trouble),
            expected=trouble.expected,
            since=trouble.since,
            evidence=(*trouble.evidence, *warnings.about("Pod", trouble.pod)),
            facts=facts(target, trouble),
            about=about(target, trouble),
            because=because(target, trouble),
        )
    measure_ends(expectation, selection, observe, findings)


def measure_ends(expectation: PodsHealthy, selection: Selection, observe: Observe, findings: Findings) -> None:
    """Record how often containers ended, where the policy limits that."""
    if expectation.no_oom_kill_within is not None:
        killed = out_of_memory_pods(selection, expectation.no_oom_kill_within, observe.now)
        findings.measure("pods out of memory", killed, subject=expectation.selected, limit=0, margin=-killed)
    if expectation.restarts is not None:
        name, count = most_restarts(selection, expectation.restarts.within, observe.now)
        limit = expectation.restarts.at_most
        findings.measure("restarts", count, subject=name, limit=limit, margin=limit - count)


def count_pods(expectation: PodsHealthy, selection: Selection, findings: Findings) -> None:
    """Hold the number of pods to what there must be."""
    count, least = len(selection.counted), expectation.min_matches
    findings.measure("pods", count, subject=expectation.selected, limit=least, margin=count - least)
    findings.measure("ready pods", selection.ready, subject=expectation.selected)
    if count < least:
        findings.add(
            subject=expectation.selected,
            observed=counted(count, "pod"),
            expected=f"at least {least}",
            evidence=seen_instead(expectation, selection),
            facts=too_few_facts(expectation),
        )
