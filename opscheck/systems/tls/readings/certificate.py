"""What is wrong with what an endpoint serves: everything, and each thing once."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from msgspec.structs import replace

from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.units import Severity
from opscheck.systems.tls.expectations.certificate import TlsCertificate
from opscheck.systems.tls.expectations.looking import facts_to_look
from opscheck.systems.tls.queries.certificates import Certificate
from opscheck.systems.tls.queries.handshake import Handshake, Handshakes, Protocol
from opscheck.systems.tls.readings.lifetimes import CLOCK_HINT, moment, not_yet_valid, path_from, weaknesses
from opscheck.systems.tls.readings.names import covers

# X509_V_ERR_… of OpenSSL, by what tells the same from the certificates themselves.
_OF_TIME = frozenset({9, 10, 13, 14})
_OF_NAME = frozenset({62, 63, 64})
_OF_STRENGTH = frozenset({66, 67, 68})
_SELF_SIGNED, _SELF_SIGNED_ABOVE = 18, 19
_NO_ISSUER = frozenset({2, 20, 21})

_USUAL_FLOOR = Protocol.TLSV1_2
_USUAL_BITS = {"rsa_bits": 2048, "ec_bits": 256}
_MOST_NAMES = 5


@dataclass(frozen=True)
class Trouble:
    """One thing that is wrong."""

    observed: str
    expected: str
    severity: Severity
    evidence: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    explains: frozenset[int] = frozenset()
    """Which of OpenSSL's reasons it tells in other words."""
    of: Certificate | None = None
    """The certificate that it is about, where that is another than the server's own."""


@dataclass(frozen=True)
class Served:
    """What one or several addresses serve, all of them the same."""

    expectation: TlsCertificate
    addresses: tuple[str, ...]
    handshake: Handshake
    asked: str
    """The name that was asked for, which is not told by a policy whose variables are not set."""
    by_all: bool
    """True where no address serves anything else."""

    @property
    def place(self) -> str:
        """The endpoint, and which of its addresses, where not all serve the same."""
        which = "" if self.by_all else f" at {', '.join(self.addresses)}"
        return f"{called(self.expectation)}{which}"

    def subject(self, certificate: Certificate | None) -> str:
        """The place, and which certificate of the path where it is not the server's own."""
        if certificate is None or certificate is self.path[0]:
            return self.place
        return f"{self.place}: {role(certificate, self)} {certificate.subject or certificate.serial}"

    @property
    def path(self) -> tuple[Certificate, ...]:
        """From the leaf up: the chain, else what of it was sent."""
        sent = self.handshake.sent
        return self.handshake.chain or (path_from(sent[0], sent[1:]) if sent else ())

    @property
    def look(self) -> dict[str, str]:
        """Where to look, for commands."""
        expectation = self.expectation
        where = expectation.endpoint.address if self.by_all else self.addresses[0]
        return facts_to_look(where, self.asked, expectation.starttls)

    @property
    def evidence(self) -> tuple[str, ...]:
        """The chain in lines: until when, whose, by whom."""
        return tuple(
            f"{role(one, self)} until {moment(one.not_after)}: {one.subject or one.serial}, by {one.issuer}"
            for one in self.path
        )


def called(expectation: TlsCertificate) -> str:
    """The endpoint as findings name it."""
    asked = f" as {expectation.server_name}" if expectation.server_name else ""
    return f"{expectation.endpoint.address}{asked}"


def served(expectation: TlsCertificate, answer: Handshakes) -> list[Served]:
    """What is served, each different thing once, in the order of the addresses."""
    groups: dict[Handshake, list[str]] = {}
    for one in answer.addresses:
        if one.problem is None:
            groups.setdefault(_without_place(one), []).append(one.address)
    alone = len(groups) == 1
    return [Served(expectation, tuple(places), one, answer.server_name, alone) for one, places in groups.items()]


def _without_place(one: Handshake) -> Handshake:
    """What two addresses have in common that serve the same."""
    return replace(one, address="", older=replace(one.older, unknown=""))


def role(certificate: Certificate, one: Served) -> str:
    """What a certificate of the path is there for."""
    place = one.path.index(certificate)
    if place == 0:
        return "certificate"
    return "authority" if one.handshake.chain and place == len(one.path) - 1 else "intermediate"


def first_to_end(path: tuple[Certificate, ...], now: datetime) -> list[Certificate]:
    """The certificates of a path that have ended, else the one that will first."""
    return ended(path, now) or sorted(path, key=lambda one: one.not_after)[:1]


def ended(path: Iterable[Certificate], now: datetime) -> list[Certificate]:
    """Those that are valid no more."""
    return [one for one in path if one.not_after < now]


def troubles(one: Served, now: datetime) -> list[Trouble]:
    """Everything that is wrong, but for the time that is left."""
    if not one.handshake.sent:
        return list(_failure(one))
    found = [*_failure(one), *_trust(one), *_name(one), *_early(one, now), *_weak(one), *_old(one)]
    return [*found, *_unexplained(one, found, now)]


def _failure(one: Served) -> Iterator[Trouble]:
    if one.handshake.failure:
        advice = (one.handshake.advice,) if one.handshake.advice else ()
        wanted = "the client certificate is accepted" if one.handshake.sent else "a TLS handshake"
        yield Trouble(one.handshake.failure, wanted, one.expectation.ungraded_severity, advice, one.look)


def _trust(one: Served) -> Iterator[Trouble]:
    if one.handshake.untrusted:
        observed, facts, hint = _why_untrusted(one)
        wanted = f"a chain to an authority in {one.expectation.ca_file or 'the list of this system'}"
        yield Trouble(observed, wanted, one.expectation.ungraded_severity, (*hint, *one.evidence), one.look | facts)


def _why_untrusted(one: Served) -> tuple[str, dict[str, str], tuple[str, ...]]:
    code, top = one.handshake.untrusted_code, one.path[-1]
    if code == _SELF_SIGNED:
        return "self-signed: no authority stands behind it", {}, ()
    if code == _SELF_SIGNED_ABOVE:
        return f"from an unknown authority: {top.subject}", {}, (_OWN_AUTHORITY,)
    if code not in _NO_ISSUER:
        return f"untrusted: {one.handshake.untrusted}", {}, ()
    if len(one.path) > 1:
        return f"from an unknown authority: {top.issuer}", {}, (_OWN_AUTHORITY,)
    observed = f"no certificate of its issuer {top.issuer}: the server does not send it, and nobody here trusts it"
    if not top.issuer_urls:
        return observed, {}, ("is the intermediate certificate missing in what the server serves?", _OWN_AUTHORITY)
    hint = f"some browsers fetch it from {top.issuer_urls[0]} and see no fault; most other clients do not"
    return f"incomplete: {observed}", {"issuer_url": top.issuer_urls[0]}, (hint,)


_OWN_AUTHORITY = "when it is your own authority, name its PEM file in `ca_file`"


def _name(one: Served) -> Iterator[Trouble]:
    leaf = one.path[0]
    if covers(leaf.names, one.asked):
        return
    shown = ", ".join(leaf.names[:_MOST_NAMES]) + ("" if len(leaf.names) <= _MOST_NAMES else ", …")
    nameless = f"for no name: only its subject has one ({leaf.subject})" if leaf.subject else "for no name at all"
    observed = f"for {shown}" if leaf.names else nameless
    hint = () if leaf.names else ("clients look at the subjectAltName alone; some old ones still take the CN",)
    yield Trouble(observed, f"for {one.asked}", one.expectation.ungraded_severity, hint, one.look, _OF_NAME)


def _early(one: Served, now: datetime) -> Iterator[Trouble]:
    for certificate in one.path:
        observed = not_yet_valid(certificate, now)
        if observed:
            facts = one.look | {"early": one.expectation.endpoint.host}
            severity = one.expectation.ungraded_severity
            yield Trouble(observed, "valid now", severity, (CLOCK_HINT,), facts, _OF_TIME, of=certificate)


def _weak(one: Served) -> Iterator[Trouble]:
    for certificate in one.path:
        # An authority is trusted for being known, whoever has signed it with what.
        anchor = one.handshake.chain[1:] and certificate is one.path[-1]
        judged = replace(certificate, signature_hash="") if anchor else certificate
        for observed, expected in weaknesses(one.expectation, judged):
            severity = one.expectation.weak
            yield Trouble(observed, expected, severity, (), one.look, _OF_STRENGTH, of=certificate)


def _old(one: Served) -> Iterator[Trouble]:
    """An old protocol: that it agrees to it, or has nothing newer."""
    spoken, floor, severity = one.handshake.protocol, one.expectation.floor, one.expectation.weak
    if _is_older(spoken, floor):
        observed, version = f"offers nothing newer than {spoken}", spoken
        if one.handshake.refused:
            severity = min(severity, one.expectation.ungraded_severity)
    elif one.handshake.older.accepted is not None:
        version = one.handshake.older.accepted
        observed = f"agrees to {version}"
    else:
        return
    facts = {} if one.expectation.starttls else {"old_protocol": version, "old_address": one.addresses[0]}
    yield Trouble(observed, f"nothing older than {floor}", severity, (), one.look | facts, frozenset({0}))


def _is_older(spoken: str, floor: Protocol) -> bool:
    return spoken in set(Protocol) and Protocol(spoken).is_older_than(floor)


def _unexplained(one: Served, found: Iterable[Trouble], now: datetime) -> Iterator[Trouble]:
    """What OpenSSL refuses for a reason that nothing else tells."""
    handshake = one.handshake
    explained = frozenset().union(*(trouble.explains for trouble in found), _allowed(one.expectation))
    if ended(one.path, now):
        explained |= _OF_TIME
    if handshake.refused and not handshake.untrusted and handshake.refused_code not in explained:
        observed = f"refused by clients with ordinary settings: {handshake.refused}"
        if one.expectation.strict:
            observed = f"refused by clients that are strict: {handshake.refused}"
        yield Trouble(observed, "every client accepts it", one.expectation.ungraded_severity, one.evidence, one.look)


def _allowed(expectation: TlsCertificate) -> frozenset[int]:
    """The reasons that the policy does not mind."""
    allowed = frozenset({0}) if expectation.floor.is_older_than(_USUAL_FLOOR) else frozenset[int]()
    if any(getattr(expectation, name) < bits for name, bits in _USUAL_BITS.items()):
        allowed |= _OF_STRENGTH
    return allowed


def unknown(expectation: TlsCertificate, answer: Handshakes) -> CouldNotObserve | None:
    """The first thing that could not be seen, and must not pass for all right."""
    for one in answer.addresses:
        problem = _unknown(expectation, one)
        if problem is not None:
            return CouldNotObserve(expectation.handshakes, problem)
    return None


def _unknown(expectation: TlsCertificate, one: Handshake) -> Problem | None:
    if one.problem is not None and one.no_route:
        return replace(one.problem, advice="where this machine has no IPv6, say `addresses: ipv4`")
    if one.sent and one.older.unknown and not _is_older(one.protocol, expectation.floor):
        text = f"whether {one.address} agrees to versions older than {expectation.floor} is not known: "
        return Problem(kind=ProblemKind.UNREADABLE, text=text + one.older.unknown)
    if any(not certificate.key for certificate in one.sent[:1]):
        return Problem(kind=ProblemKind.UNREADABLE, text=f"the certificate of {one.address} has a key of unknown kind")
    return None


def unanswered(expectation: TlsCertificate, answer: Handshakes) -> Iterator[tuple[str, Trouble]]:
    """Each address that does not answer, where it is and what is wrong; not those that this machine cannot reach."""
    for one in answer.addresses:
        if one.problem is not None and not one.no_route:
            place = Served(expectation, (one.address,), one, answer.server_name, by_all=False)
            advice = (one.problem.advice,) if one.problem.advice else ()
            severity = expectation.ungraded_severity
            yield place.place, Trouble(one.problem.text, "every address answers", severity, advice, place.look)
