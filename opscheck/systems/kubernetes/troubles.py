"""TODO."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from opscheck.core.findings import Findings
from opscheck.core.units import Severity
from opscheck.systems.kubernetes.objects import KubernetesObject
from opscheck.systems.kubernetes.owners import reference
from opscheck.systems.kubernetes.remedies import place_facts
from opscheck.systems.kubernetes.scope import InNamespaces
from opscheck.systems.kubernetes.warnings import Warnings


@dataclass(frozen=True)
class Trouble:
    """What is wrong with one object."""

    about: KubernetesObject
    observed: str
    expected: str
    since: datetime | None = None
    evidence: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    """What commands may name, beside where it is."""
    because: tuple[str, ...] = ()
    """References of what would explain it."""
    severity: Severity | None = None
    """How bad it is; as bad as the expectation says where no limit grades it."""
    explains: bool = True
    """True when other objects may suffer from it."""


def tell(findings: Findings, expectation: InNamespaces, trouble: Trouble, warnings: Warnings) -> None:
    """Record it, with the newest warnings about the object."""
    one, kind = trouble.about, type(trouble.about).__name__  # classes are called as the kinds are
    findings.add(
        subject=expectation.subject(one),
        observed=trouble.observed,
        expected=trouble.expected,
        severity=trouble.severity,
        since=trouble.since,
        evidence=(*trouble.evidence, *warnings.about(kind, one)),
        facts=place_facts(expectation.target, one.namespace) | dict(trouble.facts),
        about=reference(expectation.target, kind.lower(), one.name, one.namespace) if trouble.explains else "",
        because=trouble.because,
    )
