"""What is wrong with certificates in files, and what could not be seen of them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from shlex import quote

from opscheck.core.observation import Problem, ProblemKind
from opscheck.core.units import Severity
from opscheck.systems.tls.expectations.files import TlsFiles
from opscheck.systems.tls.queries.certificates import Certificate
from opscheck.systems.tls.queries.files import MOST_FILES, CertificateFile, CertificateFiles, Fault, Unmatched
from opscheck.systems.tls.readings.lifetimes import (
    CLOCK_HINT,
    Lifetime,
    called,
    lifetime_of_path,
    moment,
    not_yet_valid,
    path_from,
    weakest_of,
    weaknesses,
)

_SHOWN = 3
_VIOLATIONS: Mapping[Fault, str] = {
    Fault.EMPTY: "empty",
    Fault.NONE: "no certificate in it",
    Fault.CUT: "only a part of a certificate",
    Fault.DAMAGED: "not readable as certificates",
}
_UNSEEN: Mapping[Fault, tuple[str, str]] = {
    Fault.FORBIDDEN: ("may not be read", "name a user in the uri who may, add ?sudo=true, or grant it (setfacl -m)"),
    Fault.TOO_LARGE: ("is too large to be looked through", "name files of certificates alone in `paths`"),
    Fault.NO_PASSWORD: ("has a password", "give it to the target as `keystore_password`"),
    Fault.WRONG_PASSWORD: ("is not opened by the password", "correct the target's `keystore_password`"),
    Fault.UNSUPPORTED: ("cannot be read here", "convert it: openssl pkcs12 -legacy, or keytool -importkeystore"),
}
_DENIED = "name a user in the uri who may look into it, or add ?sudo=true"
_FEWER = "name fewer in `paths`, in several expectations where needed"


@dataclass(frozen=True)
class Trouble:
    """One thing that is wrong."""

    subject: str
    observed: str
    expected: str
    severity: Severity | None = None
    since: datetime | None = None
    evidence: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Kept:
    """A certificate in a file that signs no other one there, with what signed it."""

    file: CertificateFile
    path: tuple[Certificate, ...]
    alone: bool
    """True when it is the only one such in its file."""

    @property
    def head(self) -> Certificate:
        """The certificate itself."""
        return self.path[0]

    @property
    def subject(self) -> str:
        """The file, and which certificate in it where there are several."""
        return self.file.path if self.alone else f"{self.file.path}: {called(self.head)}"

    @property
    def lifetime(self) -> Lifetime:
        """Until its weakest link ends."""
        return lifetime_of_path(self.path)

    @property
    def evidence(self) -> tuple[str, ...]:
        """Its path in lines: until when, whose, by whom."""
        told = [f"until {moment(one.not_after)}: {called(one)}, by {one.issuer or 'nobody'}" for one in self.path]
        weakest = weakest_of(self.path)
        return tuple(told if weakest is self.head else [*told, f"its weakest link is {called(weakest)}"])

    @property
    def facts(self) -> dict[str, str]:
        """What commands may name."""
        return facts_of(self.file)


def facts_of(file: CertificateFile) -> dict[str, str]:
    """The file, by its format."""
    return {"keystore" if file.keystore else "pem": file.path}


def kept(files: Iterable[CertificateFile]) -> list[Kept]:
    """What lies in the files, in their order."""
    return [one for file in files for one in _kept(file)]


def _kept(file: CertificateFile) -> list[Kept]:
    each = tuple({one.fingerprint: one for one in file.certificates}.values())
    signers = {one.issuer for one in each if not one.self_issued}
    heads = [one for one in each if one.subject not in signers]
    # Authorities that sign each other are all of them signers.
    return [Kept(file, path_from(head, each), len(heads) == 1) for head in heads or each]


def troubles(expectation: TlsFiles, answer: CertificateFiles, now: datetime) -> Iterator[Trouble]:
    """What is wrong with the files, but for the time that is left."""
    yield from map(_nothing_matches, answer.unmatched)
    yield from (_faulty(file, file.fault) for file in answer.files if file.fault and file.fault in _VIOLATIONS)
    for one in kept(answer.files):
        if early := not_yet_valid(one.head, now):
            yield Trouble(one.subject, early, "valid now", evidence=(CLOCK_HINT,), facts=one.facts)
        yield from _weak(expectation, one)


def _nothing_matches(pattern: Unmatched) -> Trouble:
    names = ", ".join(pattern.there[:_SHOWN]) + (", …" if pattern.count > _SHOWN else "")
    there = f"holds {pattern.count} others: {names}" if pattern.count else "is empty"
    facts = {"near": pattern.near}
    return Trouble(pattern.pattern, f"no file matches; {pattern.near} {there}", "a file", facts=facts)


def _faulty(file: CertificateFile, fault: Fault) -> Trouble:
    of = f": {file.detail}" if file.detail else ""
    good = f"; {len(file.certificates)} others are whole" if file.certificates else ""
    facts = {"broken": file.path}
    return Trouble(
        file.path, f"{_VIOLATIONS[fault]}{of}{good}", "a whole certificate", since=file.modified, facts=facts
    )


def _weak(expectation: TlsFiles, one: Kept) -> Iterator[Trouble]:
    for certificate in one.path:
        for observed, expected in weaknesses(expectation, certificate):
            told = observed if certificate is one.head else f"{called(certificate)}: {observed}"
            yield Trouble(one.subject, told, expected, expectation.weak, facts=one.facts)


def by_end(answer: CertificateFiles) -> list[Kept]:
    """All of them, those that end first before the others."""
    return sorted(kept(answer.files), key=lambda one: (one.lifetime.end, one.subject))


def unseen(answer: CertificateFiles) -> Problem | None:
    """What could not be looked at, and must not pass for all right; None where everything could."""
    faults = [(file, file.fault) for file in answer.files if file.fault and file.fault in _UNSEEN]
    reasons = [f"{file.path} {_UNSEEN[fault][0]}{_more(file)}" for file, fault in faults]
    reasons += [f"{folder} may not be looked into" for folder in answer.closed]
    advice = [_UNSEEN[fault][1] for _, fault in faults] + [_DENIED] * bool(answer.closed)
    if answer.left_out:
        reasons.append(f"{answer.left_out} files beyond {MOST_FILES} were not looked at, or have odd names")
        advice.append(_FEWER)
    if not reasons:
        return None
    more = f"; and {len(reasons) - _SHOWN} more" if len(reasons) > _SHOWN else ""
    denied = bool(answer.closed) or any(file.fault is Fault.FORBIDDEN for file in answer.files)
    return Problem(
        kind=ProblemKind.DENIED if denied else ProblemKind.UNSUPPORTED,
        text="; ".join(reasons[:_SHOWN]) + more,
        advice="; ".join(dict.fromkeys(advice)),
    )


def of_unknown_kind(files: Iterable[Kept]) -> Problem | None:
    """Why it cannot be told whether a key is strong enough; None where it can be of all of them."""
    odd = [one for one in files if not one.head.key]
    if not odd:
        return None
    word = "openssl pkcs12 -nokeys -in" if odd[0].file.keystore else "openssl x509 -noout -text -in"
    return Problem(
        kind=ProblemKind.UNREADABLE,
        text="; ".join(f"{one.subject} has a key of unknown kind" for one in odd[:_SHOWN]),
        advice=f"see it ({word} {quote(odd[0].file.path)}), and have one issued with RSA or a usual curve",
    )


def _more(file: CertificateFile) -> str:
    return f" ({file.detail})" if file.detail else ""
