"""The quotas of a cluster's namespaces."""

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve
from opscheck.systems.kubernetes.quotas import ListQuotas, Quotas
from opscheck.systems.kubernetes.readings.quotas import never_counted, shortage, unmatched, usage
from opscheck.systems.kubernetes.selection import count_matches, listed, matching
from opscheck.systems.kubernetes.troubles import tell
from opscheck.systems.kubernetes.warnings import Warnings
from opscheck.systems.kubernetes.words import not_up_to_date


def test_quotas_have_room(expectation: Quotas, observe: Observe, findings: Findings) -> None:
    """
    Every selected quota has room for more.

    Where a quota is used up, no pod, volume or service is made any more: rollouts stop half-way, autoscalers add
    nothing, and a pod that dies does not come back.
    """
    there = [one for one in listed(observe, expectation.ask(ListQuotas)) if not one.is_terminating]
    matched, warnings = matching(expectation, there), Warnings(expectation, observe)
    count_matches(expectation, there, matched, findings)
    found = usage(expectation, matched)
    for share in found.shares:
        if (trouble := shortage(expectation, share, warnings)) is not None:
            tell(findings, expectation, trouble, warnings)
    for quota in found.unseen:
        if (trouble := never_counted(expectation, quota, observe.now)) is not None:
            tell(findings, expectation, trouble, warnings)
    if found.shares:
        share, limit = found.shares[0], expectation.used
        findings.measure(
            share.resource,
            share.percent,
            unit="%",
            subject=expectation.subject(share.quota),
            limit=limit.limit(share.percent),
            margin=limit.margin(share.percent),
        )
    if (problem := not_up_to_date(found.stale) or unmatched(expectation, matched)) is not None:
        raise CouldNotObserve(next(iter(expectation.looks_at())), problem)
