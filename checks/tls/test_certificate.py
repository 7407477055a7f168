"""The certificates that servers serve."""

from opscheck import Findings, Observe
from opscheck.systems.tls.expectations.certificate import TlsCertificate
from opscheck.systems.tls.readings.certificate import (
    Served,
    Trouble,
    first_to_end,
    served,
    troubles,
    unanswered,
    unknown,
)
from opscheck.systems.tls.readings.lifetimes import Told, judge_lifetime, lifetime_within


def test_the_certificate_that_is_served_is_good(
    expectation: TlsCertificate, observe: Observe, findings: Findings
) -> None:
    """
    Every address serves a certificate that is trusted, is for this name, and lasts long enough.

    When it is not, clients refuse to connect, all of them in the same second. A renewed certificate that no server has
    loaded helps nobody.
    """
    answer = observe(expectation.handshakes)
    for one in served(expectation, answer):
        for trouble in troubles(one, observe.now):
            _tell(one.subject(trouble.of), trouble, findings)
        _judge_time(one, observe, findings)
    for place, trouble in unanswered(expectation, answer):
        _tell(place, trouble, findings)
    missing = unknown(expectation, answer)
    if missing is not None:
        raise missing


def _tell(subject: str, trouble: Trouble, findings: Findings) -> None:
    findings.add(
        subject=subject,
        observed=trouble.observed,
        expected=trouble.expected,
        severity=trouble.severity,
        evidence=trouble.evidence,
        facts=trouble.facts,
    )


def _judge_time(one: Served, observe: Observe, findings: Findings) -> None:
    for certificate in first_to_end(one.path, observe.now):
        facts = {"ending": one.asked} if certificate is one.path[0] else {}
        told = Told(one.subject(certificate), one.evidence, one.look | facts)
        judge_lifetime(findings, one.expectation, lifetime_within(one.path, certificate), observe.now, told)
