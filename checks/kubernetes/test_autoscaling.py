"""The horizontal pod autoscalers of a cluster."""

from opscheck import Findings, Observe
from opscheck.systems.kubernetes.autoscaling import Autoscaling, ListAutoscalers
from opscheck.systems.kubernetes.readings.autoscaling import fullest, trouble_of
from opscheck.systems.kubernetes.selection import count_matches, listed, matching
from opscheck.systems.kubernetes.troubles import tell
from opscheck.systems.kubernetes.warnings import Warnings


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
