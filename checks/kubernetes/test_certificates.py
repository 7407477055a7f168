"""The certificates of a cluster."""

from collections.abc import Sequence
from datetime import datetime

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve
from opscheck.systems.kubernetes.certificates import Certificate, CertificatesRenewed, ListCertificates
from opscheck.systems.kubernetes.readings.certificates import (
    Around,
    failing,
    first_to_end,
    limits_hold,
    stale,
    troubles,
)
from opscheck.systems.kubernetes.readings.issuing import Issuing
from opscheck.systems.kubernetes.readings.tls_secrets import Secrets
from opscheck.systems.kubernetes.selection import count_matches, listed, matching
from opscheck.systems.kubernetes.troubles import tell
from opscheck.systems.kubernetes.warnings import Warnings
from opscheck.systems.tls.readings.lifetimes import measure_lifetime


def test_the_certificates_are_renewed(expectation: CertificatesRenewed, observe: Observe, findings: Findings) -> None:
    """
    Every selected certificate of cert-manager is there, valid, and renewed when that is due.

    A renewal that fails is seen by nobody until the certificate ends, weeks later and for all clients at once; and
    cert-manager goes on calling one ready that has ended.
    """
    there = listed(observe, expectation.ask(ListCertificates))
    certificates = matching(expectation, there)
    count_matches(expectation, there, certificates, findings)
    measure_certificates(expectation, certificates, observe.now, findings)
    warnings, around = Warnings(expectation, observe), Around(there, Issuing(expectation, observe))
    for trouble in troubles(expectation, certificates, around, observe.now):
        tell(findings, expectation, trouble, warnings)
    # Last, as they may be denied: what was found stands beside what could not be looked at.
    if expectation.tls_secrets:
        judge_secrets(expectation, there, certificates, observe, findings)
    if (problem := stale(certificates)) is not None:
        raise CouldNotObserve(next(iter(expectation.looks_at())), problem)


def measure_certificates(
    expectation: CertificatesRenewed, certificates: Sequence[Certificate], now: datetime, findings: Findings
) -> None:
    """Record which ends first, and for how many the newest attempt has failed."""
    findings.measure("failing issuances", failing(certificates), subject=expectation.selected)
    if (first := first_to_end(certificates)) is not None:
        certificate, lifetime = first
        limited = limits_hold(expectation, certificate, now)
        measure_lifetime(findings, expectation, lifetime, now, expectation.subject(certificate), limited=limited)


def judge_secrets(
    expectation: CertificatesRenewed,
    there: Sequence[Certificate],
    certificates: Sequence[Certificate],
    observe: Observe,
    findings: Findings,
) -> None:
    """Look at what is really stored."""
    secrets = Secrets(expectation, listed(observe, expectation.secrets()), there)
    findings.measure("TLS secrets of nobody", len(secrets.by_hand), subject=expectation.selected)
    warnings = Warnings(expectation, observe)
    for trouble in secrets.troubles(certificates, observe.now):
        tell(findings, expectation, trouble, warnings)
    if (problem := secrets.unjudged(certificates)) is not None:
        raise CouldNotObserve(next(iter(expectation.secrets())), problem)
