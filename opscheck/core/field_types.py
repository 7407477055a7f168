"""Types of fields that several expectations share: limits that can be reached, and time zones."""

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


def _below_all(limit: Graded[Percentage]) -> Graded[Percentage]:
    if max(values(limit)) >= _ALL:
        raise PydanticCustomError("limit_unreachable", "a percentage below 100%: nothing can be used more than that")
    return limit


def _above_none(limit: GradedMinimum[Any]) -> GradedMinimum[Any]:
    if min(values(limit)) <= 0:
        raise PydanticCustomError("limit_unreachable", "more than 0: nothing can have less than that left")
    return limit


ShareUsed = Annotated[Graded[Percentage], AfterValidator(_below_all)]
"""How much of something finite may be used."""
CountLeft = Annotated[GradedMinimum[Count], AfterValidator(_above_none)]
"""How many must be left."""
BytesLeft = Annotated[GradedMinimum[ByteSize], AfterValidator(_above_none)]
"""How many bytes must be left."""


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ValueError, OSError, LookupError) as error:
        raise PydanticCustomError("time_zone", "the name of a time zone, such as Europe/Berlin or UTC") from error
    return value


TimeZone = Annotated[str, AfterValidator(_time_zone)]
"""The name of a time zone, such as Europe/Berlin."""
