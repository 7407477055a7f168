"""Time zones in policies, checked when the policy is loaded."""

from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ValueError, OSError, LookupError) as error:
        raise PydanticCustomError("time_zone", "the name of a time zone, such as Europe/Berlin or UTC") from error
    return value


TimeZone = Annotated[str, AfterValidator(_time_zone)]
"""The name of a time zone, such as Europe/Berlin."""
