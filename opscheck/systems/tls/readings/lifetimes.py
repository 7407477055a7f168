"""How long certificates last, and whether their keys and signatures can be relied on: the same for every check."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from opscheck.core.findings import Findings
from opscheck.core.units import Duration, Graded, Percentage, Severity, format_duration
from opscheck.systems.tls.expectations.lifetimes import CertificatesLast
from opscheck.systems.tls.queries.certificates import Certificate

CLOCK_HINT = "if it was just issued: is the clock right here, and where it was issued?"

_FIRST_DAY = datetime(1, 1, 1, tzinfo=UTC)
_FORGEABLE = {"md2", "md4", "md5", "sha1"}


@dataclass(frozen=True)
class Lifetime:
    """From when until when something is valid."""

    start: datetime | None
    """None where nobody says; then only its end is judged."""
    end: datetime

    def left(self, now: datetime) -> Duration:
        """How much of it is left; negative once it is over."""
        return Duration((self.end - now).total_seconds())

    def share_left(self, now: datetime) -> Percentage | None:
        """How much of all of it that is; None where it has no length."""
        if self.start is None or self.end <= self.start:
            return None
        return Percentage(100.0 * ((self.end - now) / (self.end - self.start)))

    def told(self, now: datetime) -> str:
        """`ends in 3d, on 2026-03-04 12:00 UTC`; `ended 3d ago, …`."""
        left = self.left(now)
        span = f"ends in {format_duration(left)}" if left >= 0 else f"ended {format_duration(-left)} ago"
        return f"{span}, on {moment(self.end)}"


@dataclass(frozen=True)
class Told:
    """What a finding about a certificate says beside its numbers."""

    subject: str
    evidence: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


def moment(time: datetime) -> str:
    """A time in UTC, to the minute."""
    return f"{time:%Y-%m-%d %H:%M} UTC"


def lifetime_of(certificate: Certificate) -> Lifetime:
    """From when until when it is valid."""
    return Lifetime(certificate.not_before, certificate.not_after)


def called(certificate: Certificate) -> str:
    """What people call it: the first of its names, else its subject, else its serial number."""
    return next(iter(certificate.names), "") or certificate.subject or f"serial {certificate.serial}"


def severity_of(expectation: CertificatesLast, lifetime: Lifetime, now: datetime) -> Severity | None:
    """How bad its remaining time is; None while it is long enough. What has ended is never long enough."""
    graded = [
        found
        for _, seen, limit in _held_to(expectation, lifetime, now)
        if limit is not None and (found := limit.severity(seen)) is not None
    ]
    ended = [expectation.ungraded_severity] if lifetime.left(now) < 0 and not graded else []
    return min(graded + ended, default=None)


def expected_of(expectation: CertificatesLast, lifetime: Lifetime, now: datetime) -> str:
    """The limit that its remaining time breaks worst, in words."""
    broken = [
        (severity, f"{limit.words} {limit.limit(seen)}{' of its lifetime' * isinstance(seen, Percentage)} left")
        for _, seen, limit in _held_to(expectation, lifetime, now)
        if limit is not None and (severity := limit.severity(seen)) is not None
    ]
    return min(broken, key=lambda one: one[0])[1] if broken else "still valid"


def judge_lifetime(
    findings: Findings, expectation: CertificatesLast, lifetime: Lifetime, now: datetime, told: Told
) -> Severity | None:
    """Measure how much of it is left, and tell it in one finding where that is too little."""
    measure_lifetime(findings, expectation, lifetime, now, told.subject)
    severity = severity_of(expectation, lifetime, now)
    if severity is not None:
        findings.add(
            subject=told.subject,
            observed=lifetime_told(lifetime, now),
            expected=expected_of(expectation, lifetime, now),
            severity=severity,
            since=lifetime.end if lifetime.left(now) < 0 else None,
            evidence=told.evidence,
            facts=told.facts,
        )
    return severity


def measure_lifetime(  # noqa: PLR0913 - what is measured, and by name whether it is held to anything
    findings: Findings,
    expectation: CertificatesLast,
    lifetime: Lifetime,
    now: datetime,
    subject: str,
    *,
    limited: bool = True,
) -> None:
    """Record how much of it is left, beside its limits; without them where it is not `limited`."""
    for name, seen, limit in _held_to(expectation, lifetime, now):
        if limit is None or not limited:
            findings.measure(name, seen, subject=subject)
        else:
            findings.measure(name, seen, subject=subject, limit=limit.limit(seen), margin=limit.margin(seen))


def lifetime_told(lifetime: Lifetime, now: datetime) -> str:
    """`ends in 3d (3.3% of its lifetime left), on …`."""
    share = lifetime.share_left(now)
    end, on, date = lifetime.told(now).partition(", on ")
    of = f" ({share} of its lifetime left)" if share is not None and share >= 0 else ""
    return f"{end}{of}{on}{date}"


def _held_to(
    expectation: CertificatesLast, lifetime: Lifetime, now: datetime
) -> Iterator[tuple[str, Duration | Percentage, Graded[float] | None]]:
    yield "remaining", lifetime.left(now), expectation.remaining  # type: ignore[misc]  # a limit on a number is one
    share = lifetime.share_left(now)
    if share is not None:
        yield "remaining share", share, expectation.remaining_share  # type: ignore[misc]


def not_yet_valid(certificate: Certificate, now: datetime) -> str:
    """What is wrong with one that is not valid yet; empty for any other."""
    return early_told(lifetime_of(certificate), now)


def early_told(lifetime: Lifetime, now: datetime) -> str:
    """`not valid before 2026-03-02 12:00 UTC, in 1d`; empty where it has begun."""
    early = (lifetime.start - now).total_seconds() if lifetime.start else 0.0
    return (
        f"not valid before {moment(lifetime.start)}, in {format_duration(early)}"
        if early > 0 and lifetime.start
        else ""
    )


def weaknesses(expectation: CertificatesLast, certificate: Certificate) -> Iterator[tuple[str, str]]:
    """
    What is too weak in it, and what is expected instead.

    The signature of a certificate that signs itself makes no difference: it is trusted for being known. One that is
    told by its number alone is none that anybody uses today.
    """
    least = {"RSA": expectation.rsa_bits, "DSA": expectation.rsa_bits, "EC": expectation.ec_bits}
    wanted = least.get(certificate.key, 0)
    if 0 < certificate.key_bits < wanted:
        yield f"{certificate.key} key of {certificate.key_bits} bits", f"at least {wanted} bits"
    signed_with = certificate.signature_hash
    if not certificate.self_issued and (signed_with.lower() in _FORGEABLE or signed_with[:1].isdigit()):
        yield f"signed with {signed_with.upper()}", "SHA-256 or better"


def path_from(head: Certificate, others: Iterable[Certificate]) -> tuple[Certificate, ...]:
    """
    `head` and what signed it, as far as that is among `others`, told by the names.

    Of several certificates of one authority, as cross-signing makes them, the one that lasts longest.
    """
    path, known = [head], tuple(others)
    while not path[-1].self_issued:
        signers = [one for one in known if one.subject == path[-1].issuer and one not in path]
        if not signers:
            break
        path.append(max(signers, key=lambda one: one.not_after))
    return tuple(path)


def weakest_of(path: Iterable[Certificate]) -> Certificate:
    """The one of a chain that ends first; none of it holds for longer."""
    return min(path, key=lambda one: one.not_after)


def lifetime_of_path(path: tuple[Certificate, ...]) -> Lifetime:
    """How long a chain holds: until its weakest link ends."""
    return lifetime_within(path, weakest_of(path))


def lifetime_within(path: tuple[Certificate, ...], certificate: Certificate) -> Lifetime:
    """
    How long a certificate of a chain lets the first one be valid.

    A share is one of the first one's lifetime. A quarter of an authority's twenty years would be red for five of them.
    """
    try:
        start = certificate.not_after - path[0].lifetime
    except OverflowError:  # one that is to outlast the calendar, below an authority that is not
        start = _FIRST_DAY
    return Lifetime(start, certificate.not_after)
