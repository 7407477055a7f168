"""Limits that all checks of certificates share: remaining lifetime, keys and signatures."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Self, Unpack

from pydantic import Field

from opscheck.core.expectation import Expectation
from opscheck.core.field_types import only, values
from opscheck.core.findings import FindingParts, Findings
from opscheck.core.units import (
    Duration,
    Graded,
    GradedMinimum,
    Percentage,
    PositiveCount,
    Severity,
    format_duration,
)
from opscheck.systems.tls.x509 import Certificate, weakest_of

CLOCK_HINT = "for a new certificate, compare the clocks here and at its CA"

_ALL = 100.0
_FORGEABLE = {"md2", "md4", "md5", "sha1"}

DEFAULT_SHARE = GradedMinimum[Percentage](
    steps=(
        (Severity.P3, Percentage.parse("25%")),
        (Severity.P1, Percentage.parse("12.5%")),
        (Severity.P0, Percentage.parse("0%")),
    )
)
"""
A quarter and an eighth of the lifetime, and its end.

Automatic renewal happens at a third, or at half where certificates last for days; at a quarter it has been missed.
"""


def share_unless_time(given: dict[str, Any]) -> GradedMinimum[Percentage] | None:
    """The default, unless a limit is `given` as a duration."""
    return DEFAULT_SHARE if given.get("remaining") is None else None


DurationLeft = GradedMinimum[Duration]
"""Minimum remaining lifetime; `0s` is violated after the end."""
ShareLeft = Annotated[
    GradedMinimum[Percentage],
    only(
        lambda limit: max(values(limit)) < _ALL,
        "limit_unreachable",
        "a percentage below 100%: a new certificate has just 100% left",
    ),
]
"""Minimum remaining share of the lifetime; `0%` is violated after the end."""


class CertificatesLast(Expectation):
    """
    Certificates are valid, and have enough lifetime left.

    Without a limit, a certificate must have a quarter of its lifetime left (P3), an eighth (P1), and must not have
    ended (P0). A number of days would be too late for some certificates, and always violated by short-lived ones.
    """

    remaining: DurationLeft | None = None
    """Minimum remaining lifetime of a certificate, such as `{P3: 30d, P1: 7d, P0: 1d}`."""
    remaining_share: ShareLeft | None = Field(default_factory=share_unless_time)
    """
    Minimum remaining share of the lifetime, from `notBefore` to `notAfter`; `{P3: 25%, P1: 12.5%, P0: 0%}` by default
    without `remaining`. If both are given, both are judged.
    """
    rsa_bits: PositiveCount = 2048
    """Minimum size of an RSA (or DSA) key in bits."""
    ec_bits: PositiveCount = 256
    """Minimum size of an elliptic curve key in bits."""
    weak: Severity = Severity.P2
    """Severity of a key that is too short, or of a signature with a forgeable hash (MD5, SHA-1)."""

    @property
    def limits_are_given(self) -> bool:
        """True when the policy itself limits the lifetime."""
        return bool({"remaining", "remaining_share"} & self.model_fields_set)

    @property
    def worst_severity(self) -> Severity:
        """The highest severity of a violation."""
        return min(super().worst_severity, self.weak)


@dataclass(frozen=True)
class Lifetime:
    """The time from the start to the end of a validity."""

    start: datetime | None
    """None where it is unknown; then only the end is judged."""
    end: datetime

    @classmethod
    def of(cls, certificate: Certificate) -> Self:
        """The lifetime of a certificate."""
        return cls(certificate.not_before, certificate.not_after)

    @classmethod
    def of_path(cls, path: tuple[Certificate, ...], certificate: Certificate | None = None) -> Self:
        """
        The lifetime of a chain until the end of `certificate`, by default of the first to end.

        Its length is that of the leaf: a quarter of a CA's twenty years would be violated for five of them.
        """
        end = (certificate or weakest_of(path)).not_after
        try:
            start = end - path[0].lifetime
        except OverflowError:  # a certificate until after the year 9999, below a CA that ends before
            start = datetime.min.replace(tzinfo=UTC)
        return cls(start, end)

    def left(self, now: datetime) -> Duration:
        """The remaining time; negative after the end."""
        return Duration((self.end - now).total_seconds())

    def share_left(self, now: datetime) -> Percentage | None:
        """The remaining share of the lifetime; None where its length is unknown."""
        if self.start is None or self.end <= self.start:
            return None
        return Percentage(100.0 * ((self.end - now) / (self.end - self.start)))

    def remaining_text(self, now: datetime) -> str:
        """`ends in 3d (3.3% of its lifetime left), on 2026-03-04 12:00 UTC`; `ended 3d ago, on …`."""
        left, share = self.left(now), self.share_left(now)
        span = f"ends in {format_duration(left)}" if left >= 0 else f"ended {format_duration(-left)} ago"
        of = f" ({share} of its lifetime left)" if share is not None and share >= 0 else ""
        return f"{span}{of}, on {moment(self.end)}"

    def early_text(self, now: datetime) -> str:
        """`not valid before 2026-03-02 12:00 UTC, in 1d`; empty after the start."""
        if self.start is None or self.start <= now:
            return ""
        return f"not valid before {moment(self.start)}, in {format_duration((self.start - now).total_seconds())}"


def moment(time: datetime) -> str:
    """A time in UTC, to the minute."""
    return f"{time:%Y-%m-%d %H:%M} UTC"


def severity_of(expectation: CertificatesLast, lifetime: Lifetime, now: datetime) -> Severity | None:
    """The severity of a short remaining time; None for a sufficient one. An ended lifetime always has one."""
    graded = [severity for severity, _ in _broken_limits(expectation, lifetime, now)]
    ended = [expectation.ungraded_severity] if lifetime.left(now) < 0 and not graded else []
    return min(graded + ended, default=None)


def expected_of(expectation: CertificatesLast, lifetime: Lifetime, now: datetime) -> str:
    """The violated limit with the highest severity."""
    broken = list(_broken_limits(expectation, lifetime, now))
    return min(broken, key=lambda one: one[0])[1] if broken else "still valid"


def judge_lifetime(
    findings: Findings,
    expectation: CertificatesLast,
    lifetime: Lifetime,
    now: datetime,
    **parts: Unpack[FindingParts],
) -> None:
    """Measure the remaining time, and report a finding with `parts` where it is too short."""
    measure_lifetime(findings, expectation, lifetime, now, parts.get("subject", ""))
    if (severity := severity_of(expectation, lifetime, now)) is not None:
        parts |= {"severity": severity, "since": lifetime.end if lifetime.left(now) < 0 else None}
        findings.add(observed=lifetime.remaining_text(now), expected=expected_of(expectation, lifetime, now), **parts)


def measure_lifetime(  # noqa: PLR0913 - the parts of a measurement, by name
    findings: Findings,
    expectation: CertificatesLast,
    lifetime: Lifetime,
    now: datetime,
    subject: str,
    *,
    limited: bool = True,
) -> None:
    """Record the remaining time with its limits; without them unless it is `limited`."""
    for name, observed, limit in _limits(expectation, lifetime, now):
        if limit is None or not limited:
            findings.measure(name, observed, subject=subject)
        else:
            margin = limit.margin(observed)
            findings.measure(name, observed, subject=subject, limit=limit.limit(observed), margin=margin)


def _broken_limits(expectation: CertificatesLast, lifetime: Lifetime, now: datetime) -> Iterator[tuple[Severity, str]]:
    for _, observed, limit in _limits(expectation, lifetime, now):
        if limit is not None and (severity := limit.severity(observed)) is not None:
            of = " of its lifetime" if isinstance(observed, Percentage) else ""
            yield severity, f"{limit.comparator} {limit.limit(observed)}{of} left"


def _limits(
    expectation: CertificatesLast, lifetime: Lifetime, now: datetime
) -> Iterator[tuple[str, Duration | Percentage, Graded[Any] | None]]:
    yield "remaining", lifetime.left(now), expectation.remaining
    share = lifetime.share_left(now)
    if share is not None:
        yield "remaining share", share, expectation.remaining_share


def weaknesses(expectation: CertificatesLast, certificate: Certificate) -> Iterator[tuple[str, str]]:
    """
    Each weakness of a certificate: observed and expected.

    The signature of a self-signed certificate is irrelevant: trust does not depend on it. A signature scheme with only
    an object identifier is obsolete.
    """
    least = {"RSA": expectation.rsa_bits, "DSA": expectation.rsa_bits, "EC": expectation.ec_bits}
    wanted = least.get(certificate.key, 0)
    if 0 < certificate.key_bits < wanted:
        yield f"{certificate.key} key of {certificate.key_bits} bits", f">= {wanted} bits"
    signed_with = certificate.signature_hash
    if not certificate.self_issued and (signed_with.lower() in _FORGEABLE or signed_with[:1].isdigit()):
        yield f"signed with {signed_with.upper()}", "SHA-256 or better"
