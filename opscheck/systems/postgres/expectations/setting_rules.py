"""What settings and extensions of a server must be."""

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from opscheck.core.operators import OneOperator
from opscheck.core.units import Severity

AMOUNT = re.compile(r"(-?\d+(?:\.\d+)?)\s*([A-Za-z]*)")
"""A number with a unit or without, as postgresql.conf has it."""
BYTES = {"B": 1, "kB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}
BYTES |= {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
"""PostgreSQL's units of memory are powers of two; those that say so are known as well."""
MILLISECONDS = {"us": 0.001, "ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
"""PostgreSQL's units of time."""
_WORDS = {
    "equals": "",
    "other_than": "anything but ",
    "one_of": "one of ",
    "at_least": "at least ",
    "at_most": "at most ",
}
_VERSION = re.compile(r"(>=\s*)?[0-9][0-9A-Za-z.+-]*")


def written(value: Any) -> str:
    """A value of a setting as a person would write it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value) or "an empty text"


def _amount(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticCustomError("amount", "a number, with a unit where it has one: 100, 4MB, 5min")
    matched = AMOUNT.fullmatch(str(value).strip())
    if matched is None or (matched[2] and matched[2] not in BYTES | MILLISECONDS):
        units = ", ".join([*BYTES, *MILLISECONDS])
        raise PydanticCustomError("amount", "a number, with one of PostgreSQL's units: {units}", {"units": units})
    return value


def _version(value: str) -> str:
    if value != "any" and not _VERSION.fullmatch(value):
        raise PydanticCustomError("extension_version", '`any`, a version such as "3.4", or ">= 3.4"')
    return value


Scalar = bool | int | float | str
Amount = Annotated[int | float | str, BeforeValidator(_amount)]


class SettingRule(OneOperator):
    """What a setting must be. A plain value in its place must be equal to it."""

    places: ClassVar[frozenset[str]] = frozenset({"severity"})

    equals: Scalar | None = None
    """The value: on, replica, 4MB, 100."""
    other_than: Scalar | None = None
    """A value that it must not have, such as -1 or an empty text."""
    one_of: Annotated[tuple[Scalar, ...], Field(min_length=1)] | None = None
    """Several values that are all right."""
    at_least: Amount | None = None
    """The smallest amount that is all right. What has no end, such as -1 or a time-out of 0, is more than any."""
    at_most: Amount | None = None
    """The largest amount that is all right. What has no end is more than that."""
    severity: Severity | None = None
    """How bad it is when the setting is something else; the expectation's own severity by default."""

    @property
    def words(self) -> str:
        """The rule as a finding tells it."""
        several = isinstance(self.operand, tuple)
        operand = ", ".join(map(written, self.operand)) if several else written(self.operand)
        return _WORDS[self.operator] + operand

    def __str__(self) -> str:
        return f"{self.words}, {self.severity}" if self.severity else self.words


class ExtensionRule(BaseModel):
    """Which version of an extension must be installed."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    version: Annotated[str, AfterValidator(_version)] = "any"
    """`any`, exactly a version, or `">= 3.4"`."""
    severity: Severity | None = None
    """How bad it is when it is not there, or in another version; the expectation's own severity by default."""


def _as_setting(value: object) -> object:
    return {"equals": value} if isinstance(value, Scalar) else value


def _as_extension(value: object) -> object:
    return {"version": value} if isinstance(value, str) else value


def _not_asked(value: object) -> object:
    return None if value is False else value


Setting = Annotated[SettingRule, BeforeValidator(_as_setting, json_schema_input_type=Scalar | SettingRule)]
Extension = Annotated[ExtensionRule, BeforeValidator(_as_extension, json_schema_input_type=str | ExtensionRule)]
Asked = Annotated[
    Literal[True] | Severity | None, BeforeValidator(_not_asked, json_schema_input_type=bool | Severity | None)
]
"""Whether something is judged: true at the expectation's severity, or a severity of its own; false leaves it out."""
