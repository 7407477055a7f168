"""The certificates that servers present."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.record import Finding
from opscheck.core.remedy import Fact, Remedy
from opscheck.core.units import Severity
from opscheck.systems.tls.certificate import (
    COMPARE_CLOCKS,
    DISABLE_PROTOCOL,
    LOOK,
    RENEW,
    REPLACE,
    SERVE_INTERMEDIATE,
    TlsCertificate,
)
from opscheck.systems.tls.handshake import Handshake, Handshakes, Protocol, client_facts
from opscheck.systems.tls.lifetime import CLOCK_HINT, Lifetime, judge_lifetime, moment, weaknesses
from opscheck.systems.tls.x509 import Certificate, covers, path_from

# X509_V_ERR_… of OpenSSL, by the property of the certificates with the same fault.
_OF_TIME = frozenset({9, 10, 13, 14})
_OF_NAME = frozenset({62, 63, 64})
_OF_STRENGTH = frozenset({66, 67, 68})
_SELF_SIGNED, _SELF_SIGNED_ABOVE = 18, 19
_NO_ISSUER = frozenset({2, 20, 21})

_DEFAULT_MINIMUM = Protocol.TLSV1_2
_DEFAULT_RSA_BITS, _DEFAULT_EC_BITS = 2048, 256
_SHOWN_NAMES = 5
_OWN_AUTHORITY = "for your own CA, set `ca_file` to its PEM file"


def test_the_certificate_that_is_served_is_good(
    expectation: TlsCertificate, observe: Observe, findings: Findings
) -> None:
    """
    Every address serves a trusted, matching certificate with enough lifetime left.

    When the certificate fails, all clients reject it in the same second. A renewed certificate does not help until the
    server has loaded it.
    """
    answer = observe(expectation.handshakes)
    for one in served(expectation, answer):
        findings.report_all(violations(one, observe.now))
        _judge_time(one, observe.now, findings)
    findings.report_all(unreached(expectation, answer))
    problem = unknown(expectation, answer)
    if problem is not None:
        raise CouldNotObserve(expectation.handshakes, problem)


@dataclass(frozen=True)
class Served:
    """Addresses with equal handshakes."""

    expectation: TlsCertificate
    addresses: tuple[str, ...]
    handshake: Handshake
    name: str
    """The requested name; the policy may have it in an unset variable."""
    by_all: bool
    """True where all addresses serve the same."""

    def subject(self, certificate: Certificate | None = None) -> str:
        """The endpoint, its addresses where they differ, and the certificate unless it is the leaf."""
        requested = f" as {self.expectation.server_name}" if self.expectation.server_name else ""
        which = "" if self.by_all else f" at {', '.join(self.addresses)}"
        place = f"{self.expectation.endpoint.address}{requested}{which}"
        if certificate is None or certificate is self.path[0]:
            return place
        return f"{place}: {self.role(certificate)} {certificate.subject or certificate.serial}"

    @property
    def path(self) -> tuple[Certificate, ...]:
        """From the leaf up: the chain, else the part of it that was sent."""
        sent = self.handshake.sent
        return self.handshake.chain or (path_from(sent[0], sent[1:]) if sent else ())

    def role(self, certificate: Certificate) -> str:
        """The role of a certificate of the path."""
        position = self.path.index(certificate)
        if position == 0:
            return "certificate"
        return "authority" if self.handshake.chain and position == len(self.path) - 1 else "intermediate"

    @property
    def facts(self) -> dict[str, Fact]:
        """The values of the commands that inspect the served certificate."""
        address = self.expectation.endpoint.address if self.by_all else self.addresses[0]
        expectation = self.expectation
        return client_facts(address, self.name, expectation.starttls, expectation.client_certificate)

    @property
    def evidence(self) -> tuple[str, ...]:
        """A line for each certificate of the path: its end, subject and issuer."""
        return tuple(
            f"{self.role(one)} until {moment(one.not_after)}: {one.subject or one.serial}, by {one.issuer}"
            for one in self.path
        )

    def finding(
        self,
        observed: str,
        expected: str,
        *remedies: Remedy,
        severity: Severity | None = None,
        certificate: Certificate | None = None,
        evidence: Iterable[str] = (),
        **facts: Fact,
    ) -> Finding:
        """A finding about these addresses, or about one certificate that they serve."""
        return self.expectation.finding(
            subject=self.subject(certificate),
            observed=observed,
            expected=expected,
            severity=severity,
            evidence=evidence,
            remedies=(LOOK, *remedies),
            facts=self.facts | facts,
        )


def served(expectation: TlsCertificate, answer: Handshakes) -> list[Served]:
    """The handshakes, grouped when equal, in the order of the addresses."""
    groups: dict[Handshake, list[str]] = {}
    for one in answer.addresses:
        if one.problem is None:
            comparable = replace(one, address="", older=replace(one.older, unknown=""))
            groups.setdefault(comparable, []).append(one.address)
    return [
        Served(expectation, tuple(addresses), handshake, answer.server_name, by_all=len(groups) == 1)
        for handshake, addresses in groups.items()
    ]


def _judge_time(one: Served, now: datetime, findings: Findings) -> None:
    for certificate in first_to_end(one.path, now):
        judge_lifetime(
            findings.on(one.subject(certificate)),
            one.expectation,
            Lifetime.of_path(one.path, certificate),
            now,
            evidence=one.evidence,
            remedies=(LOOK, RENEW if certificate is one.path[0] else REPLACE),
            facts=one.facts,
        )


def first_to_end(path: tuple[Certificate, ...], now: datetime) -> list[Certificate]:
    """The expired certificates of a path, else the one that expires first."""
    return _expired(path, now) or sorted(path, key=lambda one: one.not_after)[:1]


def _expired(path: Iterable[Certificate], now: datetime) -> list[Certificate]:
    return [one for one in path if one.not_after < now]


def violations(one: Served, now: datetime) -> Iterator[Finding]:
    """Every fault, except the remaining lifetime."""
    handshake = one.handshake
    if handshake.failure:
        wanted = "accepts the client certificate" if handshake.sent else "a TLS handshake"
        yield one.finding(handshake.failure, wanted, evidence=filter(None, (handshake.advice,)))
    if not handshake.sent:
        return
    yield from _untrusted(one)
    explained = _accepted(one.expectation) | (_OF_TIME if _expired(one.path, now) else frozenset())
    for codes, judge in (
        (_OF_NAME, _wrong_name(one)),
        (_OF_TIME, _early(one, now)),
        (_OF_STRENGTH, _weak(one)),
        (frozenset({0}), _legacy_protocol(one)),
    ):
        for finding in judge:
            explained |= codes
            yield finding
    if handshake.refused and not handshake.untrusted and handshake.refused_code not in explained:
        clients = "strict clients" if one.expectation.strict else "clients with default settings"
        observed = f"rejected by {clients}: {handshake.refused}"
        yield one.finding(observed, "accepted by every client", evidence=one.evidence)


def _accepted(expectation: TlsCertificate) -> frozenset[int]:
    """The reasons of OpenSSL that the policy accepts."""
    accepted = frozenset({0}) if expectation.floor.is_older_than(_DEFAULT_MINIMUM) else frozenset[int]()
    if expectation.rsa_bits < _DEFAULT_RSA_BITS or expectation.ec_bits < _DEFAULT_EC_BITS:
        accepted |= _OF_STRENGTH
    return accepted


def _untrusted(one: Served) -> Iterator[Finding]:
    if not one.handshake.untrusted:
        return
    code, top, hint = one.handshake.untrusted_code, one.path[-1], [_OWN_AUTHORITY]
    expected = f"a chain to a CA in {one.expectation.ca_file or 'the trust store of this system'}"
    if code in _NO_ISSUER and len(one.path) == 1:
        yield _without_issuer(one, expected)
        return
    if code == _SELF_SIGNED:
        observed, hint = "self-signed certificate", []
    elif code == _SELF_SIGNED_ABOVE:
        observed = f"unknown CA: {top.subject}"
    elif code in _NO_ISSUER:
        observed = f"unknown CA: {top.issuer}"
    else:
        observed, hint = f"untrusted: {one.handshake.untrusted}", []
    yield one.finding(observed, expected, REPLACE, evidence=(*hint, *one.evidence))


def _without_issuer(one: Served, expected: str) -> Finding:
    leaf = one.path[0]
    observed = f"certificate of its issuer {leaf.issuer} is neither sent nor in the trust store"
    if not leaf.issuer_urls:
        hints = ("is an intermediate certificate missing in the served chain?", _OWN_AUTHORITY)
        return one.finding(observed, expected, evidence=(*hints, *one.evidence))
    url = leaf.issuer_urls[0]
    hint = f"some browsers fetch it from {url} and accept the chain; most other clients do not"
    observed = f"incomplete chain: {observed}"
    return one.finding(observed, expected, SERVE_INTERMEDIATE, evidence=(hint, *one.evidence), issuer_url=url)


def _wrong_name(one: Served) -> Iterator[Finding]:
    leaf = one.path[0]
    if covers(leaf.names, one.name):
        return
    hint = () if leaf.names else ("clients verify the subjectAltName; only some old ones accept the CN",)
    if leaf.names:
        observed = f"for {', '.join(leaf.names[:_SHOWN_NAMES])}{', …' if len(leaf.names) > _SHOWN_NAMES else ''}"
    else:
        observed = f"no subjectAltName, only the subject {leaf.subject}" if leaf.subject else "no name"
    yield one.finding(observed, f"for {one.name}", REPLACE, evidence=hint)


def _early(one: Served, now: datetime) -> Iterator[Finding]:
    for certificate in one.path:
        observed, host = Lifetime.of(certificate).early_text(now), one.expectation.endpoint.host
        if observed:
            yield one.finding(
                observed, "valid now", COMPARE_CLOCKS, certificate=certificate, evidence=(CLOCK_HINT,), host=host
            )


def _weak(one: Served) -> Iterator[Finding]:
    for certificate in one.path:
        # The signature of the trusted CA itself is irrelevant.
        anchor = one.handshake.chain[1:] and certificate is one.path[-1]
        judged = replace(certificate, signature_hash="") if anchor else certificate
        for observed, expected in weaknesses(one.expectation, judged):
            yield one.finding(observed, expected, REPLACE, severity=one.expectation.weak, certificate=certificate)


def _legacy_protocol(one: Served) -> Iterator[Finding]:
    """An old version of TLS that the server accepts, or that is its newest."""
    protocol, minimum, severity = one.handshake.protocol, one.expectation.floor, one.expectation.weak
    if _is_older(protocol, minimum):
        observed = f"newest protocol is {protocol}"
        if one.handshake.refused:
            severity = min(severity, one.expectation.ungraded_severity)
    elif one.handshake.older.accepted is not None:
        protocol = one.handshake.older.accepted
        observed = f"accepts {protocol}"
    else:
        return
    expected, peer = f"{minimum} or newer only", one.addresses[0]
    yield one.finding(observed, expected, DISABLE_PROTOCOL, severity=severity, protocol=protocol, peer=peer)


def _is_older(protocol: str, minimum: Protocol) -> bool:
    return protocol in set(Protocol) and Protocol(protocol).is_older_than(minimum)


def unreached(expectation: TlsCertificate, answer: Handshakes) -> Iterator[Finding]:
    """Each address without an answer, except those that this machine has no route to."""
    for one in answer.addresses:
        if one.problem is not None and not one.no_route:
            place = Served(expectation, (one.address,), one, answer.server_name, by_all=False)
            yield place.finding(
                one.problem.text, "every address responds", evidence=filter(None, (one.problem.advice,))
            )


def unknown(expectation: TlsCertificate, answer: Handshakes) -> Problem | None:
    """The first unknown property; None without one."""
    for one in answer.addresses:
        if one.problem is not None and one.no_route:
            return replace(one.problem, advice="without IPv6 on this machine, set `addresses: ipv4`")
        if one.sent and one.older.unknown and not _is_older(one.protocol, expectation.floor):
            text = f"support of {one.address} for protocols older than {expectation.floor} is unknown: "
            return Problem(kind=ProblemKind.UNREADABLE, text=text + one.older.unknown)
        if any(not certificate.key for certificate in one.sent[:1]):
            text = f"the certificate of {one.address} has a key of unknown type"
            return Problem(kind=ProblemKind.UNREADABLE, text=text)
    return None
