"""What findings about autoscalers, disruption budgets and quotas have in common."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from opscheck.expectations.kubernetes.base import OfKind
from opscheck.judging import Findings
from opscheck.queries.kubernetes.objects import KubernetesObject
from opscheck.queries.observation import Problem
from opscheck.readings.kubernetes.findings import place_facts
from opscheck.readings.kubernetes.references import reference
from opscheck.readings.kubernetes.unjudged import cannot_tell
from opscheck.readings.kubernetes.warnings import Warnings
from opscheck.readings.kubernetes.words import some_with_reasons
from opscheck.units import Severity


@dataclass(frozen=True)
class Trouble:
    """What is wrong with one of them."""

    observed: str
    expected: str
    since: datetime | None = None
    evidence: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    because: tuple[str, ...] = ()
    severity: Severity | None = None
    """How bad it is; as bad as the expectation says where no limit grades it."""


def tell(  # noqa: PLR0913 - what a finding is made of
    findings: Findings, expectation: OfKind, kind: str, one: KubernetesObject, trouble: Trouble, *, warnings: Warnings
) -> None:
    """Record what is wrong with `one`, an object of `kind`, which is spelled `PodDisruptionBudget`."""
    findings.add(
        subject=expectation.subject(one),
        observed=trouble.observed,
        expected=trouble.expected,
        severity=trouble.severity,
        since=trouble.since,
        evidence=(*trouble.evidence, *warnings.about(kind, one)),
        facts=place_facts(expectation.target, one.namespace) | dict(trouble.facts),
        about=reference(expectation.target, kind.lower(), one.name, one.namespace),
        because=trouble.because,
    )


def not_up_to_date(stale: Mapping[str, str]) -> Problem | None:
    """Why nothing can be said of objects whose controller has not looked at them as they are now; None of none."""
    if not stale:
        return None
    return cannot_tell(
        f"no up-to-date status of {some_with_reasons(stale)}",
        "look again in a minute; if it stays so, see the log of kube-controller-manager",
    )
