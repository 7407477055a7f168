"""What every check of certificates holds them to: how long they are still valid, their keys and their signatures."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from opscheck.core.expectation import Expectation
from opscheck.core.limits import values
from opscheck.core.units import Duration, GradedMinimum, Percentage, PositiveCount, Severity

_ALL = 100.0

DEFAULT_SHARE = GradedMinimum[Percentage](
    steps=(
        (Severity.P3, Percentage.parse("25%")),
        (Severity.P1, Percentage.parse("12.5%")),
        (Severity.P0, Percentage.parse("0%")),
    )
)
"""
A quarter and an eighth of the lifetime, and the end.

Whatever renews by itself does so at a third, or at half where certificates last for days, and has then missed it.
"""


def _below_all(limit: GradedMinimum[Percentage]) -> GradedMinimum[Percentage]:
    if max(values(limit)) >= _ALL:
        raise PydanticCustomError("limit_unreachable", "a percentage below 100%: a new certificate has no more left")
    return limit


def share_unless_time(given: dict[str, Any]) -> GradedMinimum[Percentage] | None:
    """The default where no limit is `given` as a length of time."""
    return DEFAULT_SHARE if given.get("remaining") is None else None


DurationLeft = GradedMinimum[Duration]
"""How much longer something must be valid; `0s` is broken once it is valid no more."""
ShareLeft = Annotated[GradedMinimum[Percentage], AfterValidator(_below_all)]
"""How much of its lifetime something must have left; `0%` is broken once it is valid no more."""


class CertificatesLast(Expectation):
    """
    Certificates are valid, and for long enough.

    Neither limit given, a certificate must have a quarter of its lifetime left (P3), an eighth (P1), and must not
    have ended (P0). A number of days would be late for some certificates, and red for all their life for others.
    """

    remaining: DurationLeft | None = None
    """How much longer a certificate must be valid, such as `{P3: 30d, P1: 7d, P0: 1d}`."""
    remaining_share: ShareLeft | None = Field(default_factory=share_unless_time)
    """
    How much of its lifetime it must have left, from `notBefore` to `notAfter`; `{P3: 25%, P1: 12.5%, P0: 0%}` by
    default where `remaining` is not given. Both may be given; each is then held to.
    """
    rsa_bits: PositiveCount = 2048
    """How long a key of RSA (or DSA) must be."""
    ec_bits: PositiveCount = 256
    """How long a key on an elliptic curve must be."""
    weak: Severity = Severity.P2
    """How bad a key is that is too short, or a signature by a hash that can be forged (MD5, SHA-1)."""

    @property
    def limits_are_given(self) -> bool:
        """Whether the policy itself says how long certificates must last."""
        return bool({"remaining", "remaining_share"} & self.model_fields_set)

    @property
    def worst_severity(self) -> Severity:
        """How bad a violation can be at worst."""
        return min(super().worst_severity, self.weak)
