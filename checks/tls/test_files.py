"""The certificates in files."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from shlex import quote

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.remedy import Remedy
from opscheck.core.units import format_duration
from opscheck.core.words import counted, some
from opscheck.systems.tls.files import (
    LOOK_AT_FOLDER,
    LOOK_AT_NEWEST,
    LOOK_KEYSTORE,
    LOOK_PEM,
    MOST_FILES,
    RELOAD,
    RENEW,
    REPLACE_FILE,
    CertificateFile,
    CertificateFiles,
    Fault,
    TlsFiles,
)
from opscheck.systems.tls.handshake import Handshakes
from opscheck.systems.tls.lifetime import (
    CLOCK_HINT,
    Lifetime,
    judge_lifetime,
    moment,
    severity_of,
    weaknesses,
)
from opscheck.systems.tls.x509 import Certificate, path_from, weakest_of

MEASURED = 20
_SHOWN = 3
_PAIR = timedelta(days=7)

_VIOLATIONS: Mapping[Fault | None, str] = {
    Fault.EMPTY: "empty",
    Fault.NONE: "no certificate found",
    Fault.CUT: "truncated certificate",
    Fault.DAMAGED: "invalid certificate",
}
_UNREAD: Mapping[Fault | None, tuple[str, str]] = {
    Fault.FORBIDDEN: (
        "has no read permission",
        "name a user with this permission in the uri, add ?sudo=true, or grant it (setfacl -m)",
    ),
    Fault.TOO_LARGE: ("is too large", "name only certificate files in `paths`"),
    Fault.NO_PASSWORD: ("has a password", "set the target's `keystore_password`"),
    Fault.WRONG_PASSWORD: ("has another password", "correct the target's `keystore_password`"),
    Fault.UNSUPPORTED: ("has an unsupported format", "convert it: openssl pkcs12 -legacy, or keytool -importkeystore"),
}


def test_the_certificates_in_files_are_good(expectation: TlsFiles, observe: Observe, findings: Findings) -> None:
    """
    Certificate files are valid, have enough lifetime left, and the newest is served.

    Services read these files when they start: an expired certificate breaks the next start. A renewed certificate does
    not help until it is loaded.
    """
    answer = observe(expectation.files)
    stored = stored_in(answer.files)
    _judge_files(answer, findings)
    for one in stored:
        _judge_start_and_strength(expectation, one, observe.now, findings.on(one.subject, file=one.file.path))
    findings.measure("files", len(answer.files), subject=", ".join(expectation.paths))
    findings.measure("certificates", sum(len(one.certificates) for one in answer.files))
    _judge_times(expectation, stored, observe.now, findings)
    problem = unread(answer)
    # Last: with the server down, the findings about files still count.
    if expectation.handshakes is not None:
        served = observe(expectation.handshakes)
        judge_served(expectation, stored, served, observe.now, findings, all_read=problem is None)
        problem = problem or unserved(served)
    problem = problem or _unknown_key(stored)
    if problem is not None:
        raise CouldNotObserve(expectation.files, problem)


@dataclass(frozen=True)
class Stored:
    """A leaf certificate in a file, with the certificates there that signed it."""

    file: CertificateFile
    path: tuple[Certificate, ...]
    alone: bool
    """True when it is the only such certificate in its file."""

    @property
    def head(self) -> Certificate:
        """The certificate itself."""
        return self.path[0]

    @property
    def subject(self) -> str:
        """The file, and the certificate in it where it has several."""
        return self.file.path if self.alone else f"{self.file.path}: {self.head.label}"

    @property
    def lifetime(self) -> Lifetime:
        """The lifetime of its path: until the first certificate ends."""
        return Lifetime.of_path(self.path)

    @property
    def look(self) -> Remedy:
        """The remedy that inspects the file."""
        return LOOK_KEYSTORE if self.file.keystore else LOOK_PEM

    @property
    def evidence(self) -> tuple[str, ...]:
        """A line for each certificate of its path: its end, name and issuer."""
        lines = [f"until {moment(one.not_after)}: {one.label}, by {one.issuer or 'no issuer'}" for one in self.path]
        weakest = weakest_of(self.path)
        return tuple(lines if weakest is self.head else [*lines, f"first to end: {weakest.label}"])


def stored_in(files: Iterable[CertificateFile]) -> list[Stored]:
    """The certificates in the files, in their order."""
    stored = list[Stored]()
    for file in files:
        each = tuple({one.fingerprint: one for one in file.certificates}.values())
        signers = {one.issuer for one in each if not one.self_issued}
        heads = [one for one in each if one.subject not in signers]
        # CAs that sign each other are all signers.
        stored += [Stored(file, path_from(head, each), len(heads) == 1) for head in heads or each]
    return stored


def _judge_files(answer: CertificateFiles, findings: Findings) -> None:
    """Judge that files exist, with complete certificates."""
    for pattern in answer.unmatched:
        names = ", ".join(pattern.there[:_SHOWN]) + (", …" if pattern.count > _SHOWN else "")
        there = f"contains {counted(pattern.count, 'other file')}: {names}" if pattern.count else "is empty"
        findings.on(pattern.pattern, folder=pattern.near).add(
            observed=f"no file matches; {pattern.near} {there}", expected="a file", remedies=[LOOK_AT_FOLDER]
        )
    for file in answer.files:
        if file.fault in _VIOLATIONS:
            intact = f"; {counted(len(file.certificates), 'valid certificate')}" if file.certificates else ""
            findings.on(file.path, file=file.path).add(
                observed=f"{_VIOLATIONS[file.fault]}{f': {file.detail}' if file.detail else ''}{intact}",
                expected="a valid certificate",
                since=file.modified,
                remedies=[REPLACE_FILE],
            )


def _judge_start_and_strength(expectation: TlsFiles, one: Stored, now: datetime, here: Findings) -> None:
    if early := Lifetime.of(one.head).early_text(now):
        here.add(observed=early, expected="valid now", evidence=[CLOCK_HINT], remedies=[one.look])
    for certificate in one.path:
        for weakness, expected in weaknesses(expectation, certificate):
            observed = weakness if certificate is one.head else f"{certificate.label}: {weakness}"
            here.add(observed=observed, expected=expected, severity=expectation.weak, remedies=[one.look])


def _judge_times(expectation: TlsFiles, stored: list[Stored], now: datetime, findings: Findings) -> None:
    """Judge every remaining lifetime; of the sufficient ones, measure the first to end."""
    for number, one in enumerate(sorted(stored, key=lambda one: (one.lifetime.end, one.subject))):
        if number < MEASURED or severity_of(expectation, one.lifetime, now) is not None:
            here = findings.on(one.subject, file=one.file.path)
            judge_lifetime(here, expectation, one.lifetime, now, evidence=one.evidence, remedies=(one.look, RENEW))


def unread(answer: CertificateFiles) -> Problem | None:
    """The files and folders that could not be read, as one problem; None without any."""
    faults = [(file, _UNREAD[file.fault]) for file in answer.files if file.fault in _UNREAD]
    reasons = [f"{file.path} {text}{f' ({file.detail})' if file.detail else ''}" for file, (text, _) in faults]
    reasons += [f"no permission to list {folder}" for folder in answer.closed]
    advice = [advice for _, (_, advice) in faults]
    if answer.closed:
        advice.append("name a user with this permission in the uri, or add ?sudo=true")
    if answer.left_out:
        reasons.append(f"{counted(answer.left_out, 'file')} not read: more than {MOST_FILES}, or with unusual names")
        advice.append("match fewer files in `paths`, or split them into several expectations")
    if not reasons:
        return None
    more = f"; and {len(reasons) - _SHOWN} more" if len(reasons) > _SHOWN else ""
    denied = bool(answer.closed) or any(file.fault is Fault.FORBIDDEN for file in answer.files)
    return Problem(
        kind=ProblemKind.DENIED if denied else ProblemKind.UNSUPPORTED,
        text="; ".join(reasons[:_SHOWN]) + more,
        advice="; ".join(dict.fromkeys(advice)),
    )


def _unknown_key(stored: Iterable[Stored]) -> Problem | None:
    """The keys of unknown strength, as one problem; None without any."""
    odd = [one for one in stored if not one.head.key]
    if not odd:
        return None
    word = "openssl pkcs12 -nokeys -in" if odd[0].file.keystore else "openssl x509 -noout -text -in"
    return Problem(
        kind=ProblemKind.UNREADABLE,
        text="; ".join(f"{one.subject} has a key of unknown type" for one in odd[:_SHOWN]),
        advice=f"inspect it ({word} {quote(odd[0].file.path)}), and issue one with RSA or a common curve",
    )


def judge_served(  # noqa: PLR0913 - the compared certificates, and the time
    expectation: TlsFiles,
    stored: list[Stored],
    served: Handshakes,
    now: datetime,
    findings: Findings,
    *,
    all_read: bool,
) -> None:
    """
    Report each served certificate that is not the newest stored one, once for all its addresses.

    Unless `all_read`, an unread file may contain the served certificate: only an older certificate is a finding.
    """
    addresses: dict[Certificate, list[str]] = {}
    for one in served.addresses:
        if one.leaf is not None:
            addresses.setdefault(one.leaf, []).append(one.address)
    for leaf, serving in addresses.items():
        here, same = findings.on(", ".join(serving)), for_the_same_names(stored, leaf)
        newest = max(same, key=lambda one: one.head.not_before, default=None)
        if newest is None or newest.head.not_before < leaf.not_before:
            if not all_read:
                continue
            compared, evidence = _without_file(stored, newest)
            here.add(
                observed=f"served certificate {Lifetime.of(leaf).remaining_text(now)}; {compared}",
                expected="the newest certificate of the files",
                severity=expectation.stale,
                evidence=evidence,
                remedies=[RELOAD],
                facts=expectation.client_facts,
            )
        elif not _is_newest(leaf, newest.head, same) and not _may_still_load(expectation, newest, now):
            _report_older(expectation, leaf, newest, now, here)


def for_the_same_names(stored: list[Stored], leaf: Certificate) -> list[Stored]:
    """Those with exactly the names of `leaf`; without any, those that share one."""
    names = set(leaf.names) or {leaf.subject}
    exactly = [one for one in stored if (set(one.head.names) or {one.head.subject}) == names]
    return exactly or [one for one in stored if set(one.head.names) & names]


def _is_newest(leaf: Certificate, newest: Certificate, same: list[Stored]) -> bool:
    if any(one.head.fingerprint == leaf.fingerprint and one.head.not_before == newest.not_before for one in same):
        return True
    # A pair with two types of keys, of which each client gets one, is renewed together.
    apart = newest.not_before - leaf.not_before
    of_its_type = max(
        (one.head for one in same if one.head.key == leaf.key), key=lambda one: one.not_before, default=None
    )
    own = of_its_type is not None and of_its_type.fingerprint == leaf.fingerprint
    return own and newest.key != leaf.key and timedelta() <= apart <= min(_PAIR, newest.lifetime / 4)


def _may_still_load(expectation: TlsFiles, newest: Stored, now: datetime) -> bool:
    # A file that is rewritten repeatedly, with an old certificate, was never loaded.
    written = newest.file.modified
    young = now - newest.head.not_before <= newest.head.lifetime / 4
    return young and written is not None and abs((now - written).total_seconds()) <= expectation.reload_within


def _without_file(stored: list[Stored], newest: Stored | None) -> tuple[str, tuple[str, ...]]:
    """A served certificate that is in no file, compared with the `newest` of its names; and evidence."""
    if newest is not None:
        return f"newer than {newest.file.path}, which a restart would load", newest.evidence
    names = some(sorted({one.head.label for one in stored}), _SHOWN) or "no name"
    return "no file has a certificate for its names", (f"the files are for {names}",)


def _report_older(expectation: TlsFiles, leaf: Certificate, newest: Stored, now: datetime, here: Findings) -> None:
    """Report a served certificate that is older than the newest stored one."""
    written = newest.file.modified if newest.file.modified and newest.file.modified <= now else None
    ago = f", written {format_duration((now - written).total_seconds())} ago" if written else ""
    serves = f"served certificate {Lifetime.of(leaf).remaining_text(now)}"
    here.add(
        observed=f"{serves}; older than {newest.file.path}{ago}",
        expected=f"the newest certificate, within {expectation.reload_within}",
        severity=min(severity_of(expectation, Lifetime.of(leaf), now) or expectation.stale, expectation.stale),
        since=written,
        evidence=(
            f"served: issued {moment(leaf.not_before)}, serial {leaf.serial}",
            f"newest: issued {moment(newest.head.not_before)}, serial {newest.head.serial}",
        ),
        remedies=(LOOK_KEYSTORE if newest.file.keystore else LOOK_AT_NEWEST, RELOAD),
        facts={**expectation.client_facts, "newest": newest.file.path, "file": newest.file.path},
    )


def unserved(served: Handshakes) -> Problem | None:
    """The problem of the first address with an unknown certificate; None without one."""
    for one in served.addresses:
        if one.leaf is not None:
            continue
        if one.problem is not None:
            advice = "without IPv6 on this machine, set `addresses: ipv4`" if one.no_route else one.problem.advice
            return Problem(kind=one.problem.kind, text=one.problem.text, advice=advice)
        text = f"{one.address} serves no certificate: {one.failure}"
        return Problem(kind=ProblemKind.UNREADABLE, text=text, advice=one.advice)
    return None
