"""Types of fields that several expectations share: limits that can be reached, and time zones."""

from collections.abc import Callable
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from opscheck.core.units import ByteSize, Count, Graded, GradedMinimum, Percentage

_ALL = 100.0


def values(limit: Graded[Any]) -> list[float]:
    """Every number a limit names."""
    plain = [] if limit.plain is None else [float(limit.plain)]
    return plain + [float(value) for _, value in limit.steps]


def only(holds: Callable[[Any], object], kind: str, text: str) -> AfterValidator:
    """Refuses a value for which `holds` is false; `text` says what is expected instead."""

    def check(value: Any) -> Any:
        if not holds(value):
            raise PydanticCustomError(kind, text)
        return value

    return AfterValidator(check)


_BELOW_ALL = only(
    lambda limit: max(values(limit)) < _ALL,
    "limit_unreachable",
    "a percentage below 100%: usage cannot exceed it",
)
_ABOVE_NONE = only(lambda limit: min(values(limit)) > 0, "limit_unreachable", "more than 0: no value can be lower")

ShareUsed = Annotated[Graded[Percentage], _BELOW_ALL]
"""Maximum used share of a finite resource."""
CountLeft = Annotated[GradedMinimum[Count], _ABOVE_NONE]
"""Minimum number left."""
BytesLeft = Annotated[GradedMinimum[ByteSize], _ABOVE_NONE]
"""Minimum number of bytes left."""


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ValueError, OSError, LookupError) as error:
        raise PydanticCustomError("time_zone", "the name of a time zone, such as Europe/Berlin or UTC") from error
    return value


TimeZone = Annotated[str, AfterValidator(_time_zone)]
"""The name of a time zone, such as Europe/Berlin."""
