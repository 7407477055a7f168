"""What is in TLS secrets: beside what cert-manager says of it, and by itself where cert-manager does not keep it."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from opscheck.core.observation import Problem
from opscheck.core.units import worst
from opscheck.core.words import some
from opscheck.systems.kubernetes.certificates import Certificate, CertificatesRenewed, Secret
from opscheck.systems.kubernetes.readings.certificates import lifetime_of
from opscheck.systems.kubernetes.selection import matching
from opscheck.systems.kubernetes.troubles import Trouble
from opscheck.systems.kubernetes.words import cannot_tell
from opscheck.systems.tls.queries import certificates as x509
from opscheck.systems.tls.readings.lifetimes import (
    CLOCK_HINT,
    Lifetime,
    called,
    expected_of,
    lifetime_of_path,
    lifetime_told,
    moment,
    not_yet_valid,
    path_from,
    severity_of,
    weakest_of,
    weaknesses,
)

_THE_SAME = timedelta(seconds=1)  # the status has whole seconds


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
        stored = lifetime_of_path(secret.certificates[:1])
        short = severity_of(self._expectation, stored, now)
        return Trouble(
            secret,
            f"another certificate than certificate {certificate.name} says: it {lifetime_told(stored, now)}",
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
        lifetime, facts = lifetime_of_path(path), {"secret": secret.name}
        severity = severity_of(self._expectation, lifetime, now)
        if severity is not None:
            yield Trouble(
                secret,
                lifetime_told(lifetime, now),
                expected_of(self._expectation, lifetime, now),
                lifetime.end if lifetime.left(now) < 0 else None,
                (f"it is {_told(secret)}", *_link_told(path)),
                facts,
                severity=severity,
            )
        if early := not_yet_valid(head, now):
            yield Trouble(secret, early, "valid now", evidence=(CLOCK_HINT,), facts=facts)
        yield from self._weak(secret)

    def _weak(self, secret: Secret) -> Iterator[Trouble]:
        head, *rest = secret.certificates
        for one in path_from(head, rest):
            for observed, expected in weaknesses(self._expectation, one):
                told = f"{called(one)}: {observed}"
                facts, severity = {"secret": secret.name}, self._expectation.weak
                yield Trouble(secret, told, expected, facts=facts, severity=severity)


def _place(certificate: Certificate) -> tuple[str, str]:
    return certificate.namespace, (certificate.spec and certificate.spec.secret_name) or ""


def _unreadable(secret: Secret) -> Trouble:
    return Trouble(secret, secret.unreadable, "a certificate", facts={"secret": secret.name})


def _told(secret: Secret) -> str:
    head = secret.certificates[0]
    return f"{called(head)}, serial {head.serial}, issued by {head.issuer or 'nobody who has a name'}"


def _link_told(path: tuple[x509.Certificate, ...]) -> Iterator[str]:
    weakest = weakest_of(path)
    if weakest is not path[0]:
        yield f"its weakest link is {called(weakest)}, which signs it"
