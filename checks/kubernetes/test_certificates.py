"""The certificates of a cluster."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve, Problem
from opscheck.core.units import Severity, worst
from opscheck.core.words import counted, some
from opscheck.systems.kubernetes.certificates import (
    Certificate,
    CertificateCondition,
    CertificatesRenewed,
    CertificateStatus,
    ListCertificates,
    Secret,
)
from opscheck.systems.kubernetes.issuance import Issuing
from opscheck.systems.kubernetes.selection import count_matches, listed, matching
from opscheck.systems.kubernetes.troubles import Trouble, tell
from opscheck.systems.kubernetes.warnings import Warnings
from opscheck.systems.kubernetes.words import cannot_tell, is_young, lasting, longer_than, messages, span
from opscheck.systems.tls import x509
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

_NOTHING = CertificateStatus()

_FIRST_BACKOFF = timedelta(hours=1)

_LONGEST_BACKOFF = timedelta(hours=32)

_DOUBLINGS = 6  # more of them would be longer than the longest

_THE_SAME = timedelta(seconds=1)  # the status has whole seconds


@dataclass(frozen=True)
class Around:
    """What is around the selected certificates."""

    there: Sequence[Certificate]
    """All that were listed, the selected ones too."""
    issuing: Issuing


class Secrets:
    """The TLS secrets there, and which certificates of cert-manager are kept in them."""

    def __init__(
        self, expectation: CertificatesRenewed, secrets: Iterable[Secret], certificates: Sequence[Certificate]
    ) -> None:
        self._expectation = expectation
        self._secrets = {(one.namespace, one.name): one for one in secrets}
        self._kept = {_place(one) for one in certificates}

    def troubles(self, certificates: Iterable[Certificate], now: datetime) -> Iterator[Trouble]:
        """What is wrong with the secrets of the selected `certificates`, and with those that nobody keeps."""
        for certificate in certificates:
            secret = self._secrets.get(_place(certificate))
            if secret is not None and not certificate.is_terminating:
                yield from self._kept_troubles(certificate, secret, now)
        for secret in self.by_hand:
            yield from self._own_troubles(secret, now)

    @property
    def by_hand(self) -> tuple[Secret, ...]:
        """Those that the selector and the name mean, and that no certificate of cert-manager is kept in."""
        others = (one for place, one in self._secrets.items() if place not in self._kept and not one.is_terminating)
        return matching(self._expectation, others)

    def unjudged(self, certificates: Iterable[Certificate]) -> Problem | None:
        """Why nothing can be said of what some certificates are kept in; None where something can of all."""
        chosen = tuple(certificates)
        return self._lost(chosen) or self._of_unknown_kind(chosen)

    def _lost(self, certificates: Iterable[Certificate]) -> Problem | None:
        issued = (one for one in certificates if lifetime_of(one) is not None and not one.is_terminating)
        lost = [f"{one.name} ({_place(one)[1]})" for one in issued if _place(one) not in self._secrets]
        if not lost:
            return None
        text = f"no secret of type kubernetes.io/tls holds what was issued for {some(lost)}"
        return cannot_tell(text, "see whether that secret is there, and of which type")

    def _of_unknown_kind(self, certificates: Iterable[Certificate]) -> Problem | None:
        keeping = [self._secrets[_place(one)] for one in certificates if _place(one) in self._secrets]
        odd = [one.name for one in (*keeping, *self.by_hand) if one.certificates and not one.certificates[0].key]
        if not odd:
            return None
        text = f"the certificate in secret {some(odd)} has a key of unknown kind"
        return cannot_tell(text, "have one issued with RSA or a usual curve")

    def _kept_troubles(self, certificate: Certificate, secret: Secret, now: datetime) -> Iterator[Trouble]:
        said = lifetime_of(certificate)
        if said is None:
            return
        if not secret.certificates:
            yield _unreadable(secret)
            return
        stored = secret.certificates[0]
        # What was issued a moment ago is in the secret before the status says so, and may be dated back by an hour.
        fresh = abs((now - stored.not_before).total_seconds()) <= self._expectation.renewal_grace
        if abs(stored.not_after - said.end) > _THE_SAME and not fresh:
            yield self._another(certificate, secret, said, now)
        yield from self._weak(secret)

    def _another(self, certificate: Certificate, secret: Secret, said: Lifetime, now: datetime) -> Trouble:
        stored = Lifetime.of_path(secret.certificates[:1])
        short = severity_of(self._expectation, stored, now)
        return Trouble(
            secret,
            f"another certificate than certificate {certificate.name} says: it {stored.remaining_text(now)}",
            f"the one that was issued, until {moment(said.end)}",
            evidence=(f"it is {_told(secret)}", "somebody may have written the secret, or restored an old one"),
            facts={"secret": secret.name, "certificate": certificate.name, "due": certificate.name},
            severity=worst([one for one in (short, self._expectation.ungraded_severity) if one is not None]),
        )

    def _own_troubles(self, secret: Secret, now: datetime) -> Iterator[Trouble]:
        if not secret.certificates:
            yield _unreadable(secret)
            return
        head, *rest = secret.certificates
        path = path_from(head, rest)
        lifetime, facts = Lifetime.of_path(path), {"secret": secret.name}
        severity = severity_of(self._expectation, lifetime, now)
        if severity is not None:
            yield Trouble(
                secret,
                lifetime.remaining_text(now),
                expected_of(self._expectation, lifetime, now),
                lifetime.end if lifetime.left(now) < 0 else None,
                (f"it is {_told(secret)}", *_link_told(path)),
                facts,
                severity=severity,
            )
        if early := Lifetime.of(head).early_text(now):
            yield Trouble(secret, early, "valid now", evidence=(CLOCK_HINT,), facts=facts)
        yield from self._weak(secret)

    def _weak(self, secret: Secret) -> Iterator[Trouble]:
        head, *rest = secret.certificates
        for one in path_from(head, rest):
            for observed, expected in weaknesses(self._expectation, one):
                told = f"{one.label}: {observed}"
                facts, severity = {"secret": secret.name}, self._expectation.weak
                yield Trouble(secret, told, expected, facts=facts, severity=severity)


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


def troubles(
    expectation: CertificatesRenewed, certificates: Iterable[Certificate], around: Around, now: datetime
) -> Iterator[Trouble]:
    """What is wrong with the selected `certificates`, in their order; one trouble for each of them at most."""
    rivals = _rivals(around.there)
    for certificate in certificates:
        if certificate.is_terminating:
            continue
        rival = rivals.get((certificate.namespace, certificate.name))
        trouble = _trouble(expectation, certificate, now) or _shares(certificate, rival)
        if trouble is not None:
            cause, shared = around.issuing.cause(certificate), [_shared(certificate, rival)] if rival else []
            facts = {"certificate": certificate.name, **trouble.facts, **cause.facts}
            evidence = (*trouble.evidence, *(one for one in shared if one != trouble.observed), *cause.evidence)
            yield replace(trouble, facts=facts, evidence=evidence)


def _rivals(there: Iterable[Certificate]) -> dict[tuple[str, str], str]:
    """Certificates whose secret an older one keeps too, and that one's name. cert-manager issues for one of them."""
    owners: dict[tuple[str, str], str] = {}
    rivals: dict[tuple[str, str], str] = {}
    for one in sorted(there, key=lambda one: (one.created.timestamp() if one.created else 0.0, one.name)):
        secret = (one.spec and one.spec.secret_name) or ""
        owner = owners.setdefault((one.namespace, secret), one.name)
        if owner != one.name and secret:
            rivals[one.namespace, one.name] = owner
    return rivals


def _shares(certificate: Certificate, rival: str | None) -> Trouble | None:
    return Trouble(certificate, _shared(certificate, rival), "a secret of its own") if rival else None


def _shared(certificate: Certificate, rival: str) -> str:
    secret = certificate.spec and certificate.spec.secret_name
    return f"kept in secret {secret}, as is certificate {rival}: only one of them can be"


def _trouble(expectation: CertificatesRenewed, certificate: Certificate, now: datetime) -> Trouble | None:
    lifetime = lifetime_of(certificate)
    if lifetime is None:
        return _not_issued(expectation, certificate, now)
    return (
        _too_old(expectation, certificate, lifetime, now)
        or _too_new(certificate, lifetime, now)
        or _not_ready(expectation, certificate, lifetime, now)
    )


def lifetime_of(certificate: Certificate) -> Lifetime | None:
    """From when until when the certificate in its secret is valid; None where there is none."""
    status = status_of(certificate)
    return Lifetime(status.not_before, status.not_after) if status.not_after else None


def status_of(certificate: Certificate) -> CertificateStatus:
    """What cert-manager says of it; nothing at all where it never has."""
    return certificate.status or _NOTHING


def _not_issued(expectation: CertificatesRenewed, certificate: Certificate, now: datetime) -> Trouble | None:
    failed, unseen = _failures(certificate, now), not status_of(certificate).conditions
    if not failed and is_young(certificate, now, expectation.grace):
        return None
    said = "cert-manager says nothing of it: does it run?" if unseen else "; ".join(failed)
    return Trouble(
        certificate,
        f"not issued{lasting(certificate.created, now)}" + (f": {said}" if said else ""),
        "a certificate" if failed else f"a certificate within {expectation.grace}",
        certificate.created,
        tuple(_conditions_told(certificate, now)),
        {"unseen" if unseen else "due": certificate.name},
    )


def _too_old(
    expectation: CertificatesRenewed, certificate: Certificate, lifetime: Lifetime, now: datetime
) -> Trouble | None:
    due, overdue = status_of(certificate).renewal_time, is_overdue(expectation, certificate, now)
    short = severity_of(expectation, lifetime, now) if limits_hold(expectation, certificate, now) else None
    if not overdue and short is None:
        return None
    late = [f"renewal overdue for {span(due, now)}"] if overdue and due else []
    return Trouble(
        certificate,
        "; ".join([lifetime.remaining_text(now), *late, *_failures(certificate, now)]),
        _expected(expectation, lifetime, due if overdue else None, now),
        lifetime.end if lifetime.left(now) < 0 else due if overdue else None,
        tuple(_conditions_told(certificate, now)),
        {"due": certificate.name},
        severity=_worse(short, expectation.ungraded_severity if overdue else None),
    )


def is_overdue(expectation: CertificatesRenewed, certificate: Certificate, now: datetime) -> bool:
    """Whether it should have been renewed some time ago."""
    due = status_of(certificate).renewal_time
    return due is not None and longer_than(expectation.renewal_grace, due, now)


def limits_hold(expectation: CertificatesRenewed, certificate: Certificate, now: datetime) -> bool:
    """Whether it is held to the limits: to the default ones only where no renewal is to come that would be in time."""
    due, lifetime = status_of(certificate).renewal_time, lifetime_of(certificate)
    ended = lifetime is not None and lifetime.left(now) < 0
    return expectation.limits_are_given or due is None or ended or is_overdue(expectation, certificate, now)


def _expected(expectation: CertificatesRenewed, lifetime: Lifetime, due: datetime | None, now: datetime) -> str:
    if due is None:
        return expected_of(expectation, lifetime, now)
    return f"renewed within {expectation.renewal_grace} of {moment(due)}"


def _worse(*severities: Severity | None) -> Severity | None:
    return min((one for one in severities if one is not None), default=None)


def _too_new(certificate: Certificate, lifetime: Lifetime, now: datetime) -> Trouble | None:
    early = lifetime.early_text(now)
    return Trouble(certificate, early, "valid now", evidence=(CLOCK_HINT,)) if early else None


def _not_ready(
    expectation: CertificatesRenewed, certificate: Certificate, lifetime: Lifetime, now: datetime
) -> Trouble | None:
    ready = _condition(certificate, "Ready")
    if ready is None or ready.status == "True" or not longer_than(expectation.grace, ready.last_transition_time, now):
        return None
    said = f"not ready{lasting(ready.last_transition_time, now)}: {ready.reason or 'no reason given'}"
    return Trouble(
        certificate,
        "; ".join([said, *_failures(certificate, now), f"what is there {lifetime.remaining_text(now)}"]),
        f"ready again within {expectation.grace}",
        ready.last_transition_time,
        tuple(_conditions_told(certificate, now)),
        {"due": certificate.name},
    )


def _failures(certificate: Certificate, now: datetime) -> list[str]:
    """`3 attempts failed, the last 20m ago, the next in 3h40m`; nothing where the newest attempt has not failed."""
    status = status_of(certificate)
    if status.last_failure_time is None:
        return []
    attempts = max(1, status.failed_issuance_attempts or 1)
    following = status.last_failure_time + _backoff(attempts)
    then = f"in {span(now, following)}" if following > now else "due"
    return [
        f"{counted(attempts, 'attempt')} failed, the last {span(status.last_failure_time, now)} ago, the next {then}"
    ]


def _backoff(attempts: int) -> timedelta:
    return min(_LONGEST_BACKOFF, _FIRST_BACKOFF * (1 << min(attempts - 1, _DOUBLINGS)))


def _conditions_told(certificate: Certificate, now: datetime) -> Iterator[str]:
    """What its conditions say, where they say more than that all is well, or that while it is not."""
    for kind, good in (("Ready", "True"), ("Issuing", "False")):
        found = _condition(certificate, kind)
        if found is not None and found.status != good:
            yield from messages(f"{kind}={found.status} ({found.reason or 'no reason given'}): {found.message or ''}")
    ready, lifetime = _condition(certificate, "Ready"), lifetime_of(certificate)
    if ready is not None and ready.status == "True" and lifetime is not None and lifetime.left(now) < 0:
        yield "Ready=True all the same: cert-manager has not looked at it since it ended"


def _condition(certificate: Certificate, kind: str) -> CertificateCondition | None:
    return next((one for one in status_of(certificate).conditions or () if one.type == kind), None)


def stale(certificates: Iterable[Certificate]) -> Problem | None:
    """Why nothing can be said of certificates whose spec cert-manager has not seen as it is now; None of none."""
    names = [one.name for one in certificates if not one.is_terminating and _is_stale(one)]
    if not names:
        return None
    text = f"cert-manager has not looked at {some(names)} since their spec changed"
    return cannot_tell(text, "look again in a minute; if it stays so, see cert-manager's log")


def _is_stale(certificate: Certificate) -> bool:
    ready = _condition(certificate, "Ready")
    generation = certificate.metadata and certificate.metadata.generation
    return bool(ready and ready.observed_generation and generation and ready.observed_generation < generation)


def first_to_end(certificates: Iterable[Certificate]) -> tuple[Certificate, Lifetime] | None:
    """The one that ends first; None where none is issued."""
    issued = [(one, lifetime) for one in certificates if (lifetime := lifetime_of(one)) is not None]
    return min(issued, key=lambda pair: (pair[1].end, pair[0].namespace, pair[0].name), default=None)


def failing(certificates: Iterable[Certificate]) -> int:
    """For how many the newest attempt has failed."""
    return sum(status_of(one).last_failure_time is not None for one in certificates)


def _place(certificate: Certificate) -> tuple[str, str]:
    return certificate.namespace, (certificate.spec and certificate.spec.secret_name) or ""


def _unreadable(secret: Secret) -> Trouble:
    return Trouble(secret, secret.unreadable, "a certificate", facts={"secret": secret.name})


def _told(secret: Secret) -> str:
    head = secret.certificates[0]
    return f"{head.label}, serial {head.serial}, issued by {head.issuer or 'nobody who has a name'}"


def _link_told(path: tuple[x509.Certificate, ...]) -> Iterator[str]:
    weakest = weakest_of(path)
    if weakest is not path[0]:
        yield f"its weakest link is {weakest.label}, which signs it"
