"""The certificates of a cluster."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Unpack

from opscheck import Findings, Observe
from opscheck.core.findings import FindingParts
from opscheck.core.observation import CouldNotObserve, Problem
from opscheck.core.record import Finding
from opscheck.core.units import worst
from opscheck.core.words import counted, some
from opscheck.systems.kubernetes.certificates import (
    CAUSES,
    CERTIFICATE,
    MISSING,
    NOT_PROCESSED,
    RENEW,
    SECRET,
    Certificate,
    CertificatesRenewed,
    ListCertificates,
    Secret,
)
from opscheck.systems.kubernetes.issuance import Issuing
from opscheck.systems.kubernetes.selection import count_matches, listed, matching
from opscheck.systems.kubernetes.warnings import Warnings
from opscheck.systems.kubernetes.words import cannot_tell, is_young, lasting, longer_than, messages, span
from opscheck.systems.tls.lifetime import (
    CLOCK_HINT,
    Lifetime,
    expected_of,
    measure_lifetime,
    moment,
    severity_of,
    weaknesses,
)
from opscheck.systems.tls.x509 import path_from, weakest_of

_FIRST_BACKOFF = timedelta(hours=1)
_LONGEST_BACKOFF = timedelta(hours=32)
_DOUBLINGS = 6  # more of them would exceed the longest
_THE_SAME = timedelta(seconds=1)  # the status has whole seconds


def test_the_certificates_are_renewed(expectation: CertificatesRenewed, observe: Observe, findings: Findings) -> None:
    """
    Every selected cert-manager certificate exists, is valid, and is renewed on time.

    A failed renewal goes unnoticed until the certificate expires, weeks later and for all clients at once. cert-manager
    may still report an expired certificate as Ready.
    """
    there = listed(observe, expectation.lists(ListCertificates))
    certificates = matching(expectation, there)
    count_matches(expectation, there, certificates, findings, remedy=MISSING)
    measure_certificates(expectation, certificates, observe.now, findings)
    warnings, issuing, rivals = Warnings(expectation, observe), Issuing(expectation, observe), rivals_of(there)
    for certificate in certificates:
        shared = rivals.get((certificate.namespace, certificate.name), "")
        here = expectation.on(findings, certificate, certificate=certificate.name)
        finding = CertificateState(expectation, certificate, shared, issuing, observe.now, here).finding()
        if finding is not None:
            findings.report(warnings.attach(finding, certificate))
    # Last, as this list may be denied: findings made before still count.
    if expectation.tls_secrets:
        judge_secrets(expectation, there, certificates, observe, findings)
    if (problem := stale(certificates)) is not None:
        raise CouldNotObserve(next(iter(expectation.queries())), problem)


def measure_certificates(
    expectation: CertificatesRenewed, certificates: Sequence[Certificate], now: datetime, findings: Findings
) -> None:
    """Measure the certificate that ends first, and the number of failed issuances."""
    failing = sum(one.reported.last_failure_time is not None for one in certificates)
    findings.measure("failing issuances", failing, subject=expectation.selected)
    issued = [(one, lifetime) for one in certificates if (lifetime := one.lifetime) is not None]
    if issued:
        first, lifetime = min(issued, key=lambda pair: (pair[1].end, pair[0].namespace, pair[0].name))
        limited = limits_hold(expectation, first, now)
        measure_lifetime(findings, expectation, lifetime, now, expectation.subject(first), limited=limited)


def rivals_of(there: Iterable[Certificate]) -> dict[tuple[str, str], str]:
    """Certificates that share a secret with an older one, with the text. cert-manager issues for only one of them."""
    owners: dict[tuple[str, str], str] = {}
    rivals: dict[tuple[str, str], str] = {}
    for one in sorted(there, key=lambda one: (one.created.timestamp() if one.created else 0.0, one.name)):
        owner = owners.setdefault(one.place, one.name)
        if owner != one.name and one.secret_name:
            text = f"shares secret {one.secret_name} with certificate {owner}: only one can be issued"
            rivals[one.namespace, one.name] = text
    return rivals


def overdue_since(expectation: CertificatesRenewed, certificate: Certificate, now: datetime) -> datetime | None:
    """The due time of its renewal, if the grace is over; else None."""
    due = certificate.reported.renewal_time
    return due if due and longer_than(expectation.renewal_grace, due, now) else None


def limits_hold(expectation: CertificatesRenewed, certificate: Certificate, now: datetime) -> bool:
    """True when the limits apply to it; the default ones apply only without a renewal to come."""
    due, lifetime = certificate.reported.renewal_time, certificate.lifetime
    ended = lifetime is not None and lifetime.left(now) < 0
    return expectation.limits_are_given or due is None or ended or bool(overdue_since(expectation, certificate, now))


@dataclass(frozen=True)
class CertificateState:
    """One certificate at one time."""

    expectation: CertificatesRenewed
    certificate: Certificate
    shared: str
    """The text that an older certificate uses the same secret; empty without one."""
    issuing: Issuing
    now: datetime
    here: Findings
    """The collection of its findings."""

    def finding(self) -> Finding | None:
        """Its most important problem."""
        lifetime = self.certificate.lifetime
        if self.certificate.is_terminating:
            return None
        if lifetime is None:
            found = self._not_issued()
        else:
            found = self._too_old(lifetime) or self._too_new(lifetime) or self._not_ready(lifetime)
        if found is None and self.shared:
            return self._finding(self.shared, "a secret of its own")
        return found

    def _finding(self, observed: str, expected: str, **parts: Unpack[FindingParts]) -> Finding:
        evidence, facts = self.issuing.cause(self.certificate)
        shared = [self.shared] if self.shared not in {"", observed} else []
        causes = (remedy for fact, remedy in CAUSES.items() if fact in facts)
        parts["evidence"] = (*parts.get("evidence", ()), *shared, *evidence)
        parts |= {"remedies": (CERTIFICATE, *causes, *parts.get("remedies", ())), "facts": facts}
        return self.here.finding(observed=observed, expected=expected, **parts)

    def _not_issued(self) -> Finding | None:
        created, failed, grace = self.certificate.created, self._failures(), self.expectation.grace
        unseen = not self.certificate.reported.conditions
        if not failed and is_young(self.certificate, self.now, grace):
            return None
        why = "cert-manager has not processed it" if unseen else "; ".join(failed)
        return self._finding(
            f"not issued{lasting(created, self.now)}" + (f": {why}" if why else ""),
            "a certificate" if failed else f"a certificate within {grace}",
            remedies=[NOT_PROCESSED if unseen else RENEW],
            since=created,
            evidence=self._conditions(),
        )

    def _too_old(self, lifetime: Lifetime) -> Finding | None:
        overdue = overdue_since(self.expectation, self.certificate, self.now)
        limited = limits_hold(self.expectation, self.certificate, self.now)
        graded = severity_of(self.expectation, lifetime, self.now) if limited else None
        severities = [graded] if graded is not None else []
        severities += [self.expectation.ungraded_severity] if overdue else []
        if not severities:
            return None
        late = [f"renewal overdue for {span(overdue, self.now)}"] if overdue else []
        in_time = f"renewed within {self.expectation.renewal_grace} of {moment(overdue)}" if overdue else ""
        return self._finding(
            "; ".join([lifetime.remaining_text(self.now), *late, *self._failures()]),
            in_time or expected_of(self.expectation, lifetime, self.now),
            remedies=[RENEW],
            since=lifetime.end if lifetime.left(self.now) < 0 else overdue,
            evidence=self._conditions(),
            severity=worst(severities),
        )

    def _too_new(self, lifetime: Lifetime) -> Finding | None:
        early = lifetime.early_text(self.now)
        return self._finding(early, "valid now", evidence=(CLOCK_HINT,)) if early else None

    def _not_ready(self, lifetime: Lifetime) -> Finding | None:
        ready, grace = self.certificate.condition("Ready"), self.expectation.grace
        if ready is None or ready.status == "True" or not longer_than(grace, ready.last_transition_time, self.now):
            return None
        state = f"not ready{lasting(ready.last_transition_time, self.now)}: {ready.reason or 'no reason given'}"
        return self._finding(
            "; ".join([state, *self._failures(), f"the current certificate {lifetime.remaining_text(self.now)}"]),
            f"ready again within {grace}",
            remedies=[RENEW],
            since=ready.last_transition_time,
            evidence=self._conditions(),
        )

    def _failures(self) -> list[str]:
        """`3 attempts failed, the last 20m ago, the next in 3h40m`; empty if the last attempt did not fail."""
        status = self.certificate.reported
        if status.last_failure_time is None:
            return []
        attempts = max(1, status.failed_issuance_attempts or 1)
        backoff = min(_LONGEST_BACKOFF, _FIRST_BACKOFF * (1 << min(attempts - 1, _DOUBLINGS)))
        following = status.last_failure_time + backoff
        then = f"in {span(self.now, following)}" if following > self.now else "due"
        failed = f"{counted(attempts, 'attempt')} failed, the last {span(status.last_failure_time, self.now)} ago"
        return [f"{failed}, the next {then}"]

    def _conditions(self) -> Iterator[str]:
        """Its abnormal conditions, and Ready=True on an expired certificate."""
        for kind, good in (("Ready", "True"), ("Issuing", "False")):
            found = self.certificate.condition(kind)
            if found is not None and found.status != good:
                reason = found.reason or "no reason given"
                yield from messages(f"{kind}={found.status} ({reason}): {found.message or ''}")
        ready, lifetime = self.certificate.condition("Ready"), self.certificate.lifetime
        if ready is not None and ready.status == "True" and lifetime is not None and lifetime.left(self.now) < 0:
            yield "still Ready=True: cert-manager has not processed it since it expired"


def stale(certificates: Iterable[Certificate]) -> Problem | None:
    """The problem of certificates whose spec cert-manager has not processed; None without such certificates."""
    names = [one.name for one in certificates if not one.is_terminating and one.is_stale]
    if not names:
        return None
    text = f"cert-manager has not processed the changed spec of {some(names)}"
    return cannot_tell(text, "run it again in a minute; if the problem remains, see cert-manager's log")


def judge_secrets(
    expectation: CertificatesRenewed,
    there: Sequence[Certificate],
    certificates: Sequence[Certificate],
    observe: Observe,
    findings: Findings,
) -> None:
    """Judge the content of TLS secrets: those of the selected certificates, and those not managed by cert-manager."""
    secrets = {(one.namespace, one.name): one for one in listed(observe, expectation.secrets())}
    managed, warnings = {one.place for one in there}, Warnings(expectation, observe)
    others = (one for place, one in secrets.items() if place not in managed and not one.is_terminating)
    by_hand = matching(expectation, others)
    findings.measure("TLS secrets not managed by cert-manager", len(by_hand), subject=expectation.selected)
    issued = [one for one in certificates if one.lifetime is not None and not one.is_terminating]
    stored = [(secrets[one.place], one) for one in issued if one.place in secrets]
    for secret, certificate in (*stored, *((one, None) for one in by_hand)):
        here = expectation.on(findings, secret, secret=secret.name)
        for finding in secret_findings(expectation, secret, certificate, here, observe.now):
            findings.report(warnings.attach(finding, secret))
    lost = [f"{one.name} ({one.secret_name})" for one in issued if one.place not in secrets]
    judged = [*(secrets[one.place] for one in certificates if one.place in secrets), *by_hand]
    if (problem := unjudged(lost, judged)) is not None:
        raise CouldNotObserve(next(iter(expectation.secrets())), problem)


def unjudged(lost: Sequence[str], secrets: Iterable[Secret]) -> Problem | None:
    """The problem of secrets that cannot be judged: they are `lost`, or have a key of unknown kind; else None."""
    if lost:
        text = f"no secret of type kubernetes.io/tls found for {some(lost)}"
        return cannot_tell(text, "check that the secret exists, and its type")
    if odd := [one.name for one in secrets if one.certificates and not one.certificates[0].key]:
        text = f"the certificate in secret {some(odd)} has a key of unknown kind"
        return cannot_tell(text, "issue it with RSA or a common curve")
    return None


def secret_findings(
    expectation: CertificatesRenewed, secret: Secret, certificate: Certificate | None, here: Findings, now: datetime
) -> Iterator[Finding]:
    """The problems of a secret, compared with `certificate` if cert-manager manages it."""
    if not secret.certificates:
        yield here.finding(observed=secret.unreadable, expected="a certificate", remedies=[SECRET])
        return
    if certificate is not None:
        yield from _another(expectation, secret, certificate, here, now)
    else:
        yield from _not_valid(expectation, secret, here, now)
    head, *rest = secret.certificates
    for one in path_from(head, rest):
        for observed, expected in weaknesses(expectation, one):
            weak, severity = f"{one.label}: {observed}", expectation.weak
            yield here.finding(observed=weak, expected=expected, severity=severity, remedies=[SECRET])


def _another(
    expectation: CertificatesRenewed, secret: Secret, certificate: Certificate, here: Findings, now: datetime
) -> Iterator[Finding]:
    said, stored = certificate.lifetime, secret.certificates[0]
    # A new certificate is in the secret before the status says so, and may be dated back by an hour.
    fresh = abs((now - stored.not_before).total_seconds()) <= expectation.renewal_grace
    if said is None or abs(stored.not_after - said.end) <= _THE_SAME or fresh:
        return
    lifetime = Lifetime.of_path((stored,))
    short, ungraded = severity_of(expectation, lifetime, now), expectation.ungraded_severity
    yield here.finding(
        observed=f"not the certificate that was issued for {certificate.name}: it {lifetime.remaining_text(now)}",
        expected=f"the issued certificate, valid until {moment(said.end)}",
        severity=ungraded if short is None else worst([short, ungraded]),
        evidence=[f"it is {_described(secret)}", "the secret may have been overwritten or restored from a backup"],
        remedies=[CERTIFICATE, SECRET, RENEW],
        facts={"certificate": certificate.name},
    )


def _not_valid(expectation: CertificatesRenewed, secret: Secret, here: Findings, now: datetime) -> Iterator[Finding]:
    head, *rest = secret.certificates
    path = path_from(head, rest)
    lifetime = Lifetime.of_path(path)
    severity = severity_of(expectation, lifetime, now)
    if severity is not None:
        weakest = weakest_of(path)
        link = [f"its weakest link is {weakest.label}, which signs it"] if weakest is not path[0] else []
        yield here.finding(
            observed=lifetime.remaining_text(now),
            expected=expected_of(expectation, lifetime, now),
            severity=severity,
            since=lifetime.end if lifetime.left(now) < 0 else None,
            evidence=[f"it is {_described(secret)}", *link],
            remedies=[SECRET],
        )
    if early := Lifetime.of(head).early_text(now):
        yield here.finding(observed=early, expected="valid now", evidence=[CLOCK_HINT], remedies=[SECRET])


def _described(secret: Secret) -> str:
    head = secret.certificates[0]
    return f"{head.label}, serial {head.serial}, issued by {head.issuer or 'an issuer without a name'}"
