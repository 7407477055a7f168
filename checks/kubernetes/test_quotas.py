"""The quotas of a cluster's namespaces."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve, Problem
from opscheck.core.record import Finding
from opscheck.core.units import format_value, worst
from opscheck.systems.kubernetes.quantities import parse_quantity
from opscheck.systems.kubernetes.quotas import (
    CONSUMED,
    COUNTED,
    MISSING,
    NOT_COUNTED,
    ListQuotas,
    Quotas,
    QuotaSpec,
    ResourceQuota,
)
from opscheck.systems.kubernetes.selection import count_matches, listed, matching
from opscheck.systems.kubernetes.warnings import Warnings
from opscheck.systems.kubernetes.words import cannot_tell, lasting, longer_than, not_up_to_date

_COUNTED = {
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
}
_ALL = 100.0


def test_quotas_have_room(expectation: Quotas, observe: Observe, findings: Findings) -> None:
    """
    Every selected resource quota has room for more.

    With a full quota no pod, volume or service is created: rollouts stop half-way, autoscalers add nothing, and a
    failed pod is not replaced.
    """
    there = [one for one in listed(observe, expectation.lists(ListQuotas)) if not one.is_terminating]
    matched, warnings = matching(expectation, there), Warnings(expectation, observe)
    count_matches(expectation, there, matched, findings, remedy=MISSING)
    shares, stale = usage(expectation, matched)
    for share in shares:
        if (finding := shortage(expectation, share, findings, warnings)) is not None:
            findings.report(warnings.attach(finding, share.quota))
    for quota in matched:
        never_counted = quota.asked and not quota.enforced
        if never_counted and quota.created and longer_than(expectation.grace, quota.created, observe.now):
            finding = expectation.on(findings, quota, quota=quota.name).finding(
                observed=f"no status{lasting(quota.created, observe.now)}",
                expected="counted by the quota controller",
                since=quota.created,
                remedies=[NOT_COUNTED],
            )
            findings.report(warnings.attach(finding, quota))
    if shares:
        share, limit = shares[0], expectation.used.limit(shares[0].percent)
        margin, subject = expectation.used.margin(share.percent), expectation.subject(share.quota)
        findings.measure(share.resource, share.percent, unit="%", subject=subject, limit=limit, margin=margin)
    if (problem := not_up_to_date(stale) or unmatched(expectation, matched)) is not None:
        raise CouldNotObserve(next(iter(expectation.queries())), problem)


@dataclass(frozen=True)
class Share:
    """The used share of one resource of a quota."""

    quota: ResourceQuota
    resource: str
    percent: float
    detail: str
    """The two numbers, and the scope of the quota."""


def usage(expectation: Quotas, quotas: Iterable[ResourceQuota]) -> tuple[list[Share], dict[str, str]]:
    """The used share of every limited resource, the fullest first; and the quotas with an outdated status."""
    shares, stale = list[Share](), dict[str, str]()
    for quota in quotas:
        for resource in sorted({*quota.enforced, *quota.asked}) if quota.enforced else ():
            if any(fnmatchcase(resource, pattern) for pattern in expectation.resources):
                share = _share(quota, resource)
                if isinstance(share, Share):
                    shares.append(share)
                elif share:
                    stale.setdefault(expectation.subject(quota), share)
    shares.sort(key=lambda share: (-share.percent, share.quota.namespace, share.quota.name, share.resource))
    return shares, stale


def unmatched(expectation: Quotas, quotas: Iterable[ResourceQuota]) -> Problem | None:
    """The problem of resources in the policy that no quota limits, as they would always pass; else None."""
    limited = {name for quota in quotas for name in (*quota.asked, *quota.enforced)}
    missing = [one for one in expectation.resources if not any(fnmatchcase(name, one) for name in limited)]
    if not limited or not missing:
        return None
    return cannot_tell(
        f"no selected quota limits {', '.join(missing)} (limited: {', '.join(sorted(limited))})",
        "correct `resources`, or add the limit to a quota",
    )


def _share(quota: ResourceQuota, resource: str) -> Share | str:
    """The used share, else the reason why it is unknown; empty if the resource is forbidden or not limited."""
    enforced, used, asked = quota.enforced.get(resource), quota.used.get(resource), quota.asked.get(resource)
    try:
        limit = None if enforced is None else parse_quantity(enforced)
        wanted = None if asked is None else parse_quantity(asked)
        taken = None if used is None else parse_quantity(used)
    except ValueError as error:
        return f"{resource}: {error}"
    if wanted is not None and wanted != limit:
        return f"{resource} is {asked} in the spec and {enforced or 'missing'} in the status"
    if not limit:
        return ""  # a limit of 0 forbids the resource
    if taken is None:
        return f"usage of {resource} not counted"
    return Share(quota, resource, float(taken / limit * 100), f"{used} of {enforced}{_restricted(quota)}")


def _restricted(quota: ResourceQuota) -> str:
    """`, scope BestEffort`; empty for a quota without scopes."""
    spec = quota.spec or QuotaSpec()
    selector, scopes = spec.scope_selector, [*(spec.scopes or ())]
    for one in (selector and selector.match_expressions) or ():
        values = f" ({', '.join(one.values)})" if one.values else ""
        scopes.append(f"{one.scope_name or ''} {one.operator or ''}{values}".strip())
    return f", scope {' and '.join(scopes)}" if scopes else ""


def shortage(expectation: Quotas, share: Share, findings: Findings, warnings: Warnings) -> Finding | None:
    """The finding for a share above the limit, else None. More than 100% is always a violation."""
    graded, exceeded = expectation.used.severity(share.percent), share.percent > _ALL
    if graded is None and not exceeded:
        return None
    named = float(expectation.used.limit(share.percent)) if graded else _ALL
    bad = [severity for severity in (graded, expectation.ungraded_severity if exceeded else None) if severity]
    counted = _counted(share.resource)
    return expectation.on(findings, share.quota, quota=share.quota.name).finding(
        observed=f"{share.resource} {format_value(share.percent, '%')} ({share.detail})",
        expected=f"<= {format_value(named, '%')}",
        severity=worst(bad),
        evidence=warnings.saying(f"exceeded quota: {share.quota.name},", share.quota.namespace),
        remedies=[COUNTED if counted else CONSUMED],
        facts={"counted": counted} if counted else {"columns": _columns(share.resource)},
    )


def _counted(resource: str) -> str:
    """The kind of object that the quota counts; empty if it adds up requests of pods."""
    if resource.startswith("count/"):
        return resource.removeprefix("count/")
    if resource == "requests.storage" or ".storageclass.storage.k8s.io/" in resource:
        return "persistentvolumeclaims"
    return "services" if resource.startswith("services.") else resource if resource in _COUNTED else ""


def _columns(resource: str) -> str:
    kind, _, name = resource.partition(".")
    if kind not in {"limits", "requests"}:
        kind, name = "requests", resource  # `cpu` is short for `requests.cpu`
    path = name.replace(".", r"\.")
    return f"POD:.metadata.name,TAKES:.spec.containers[*].resources.{kind}.{path}"
