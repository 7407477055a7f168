"""The quantities a policy speaks in: durations, percentages, byte sizes, and limits graded by severity."""

import math
import re
from collections.abc import Mapping
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Generic, Self, TypeVar, cast, get_args

from pydantic import AfterValidator, BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import PydanticCustomError, core_schema


class Severity(StrEnum):
    """Severity of a violation; P0 is the worst."""

    P0 = "P0"
    P1 = "P1"
    P2 = "P2"
    P3 = "P3"

    def reaches(self, gate: "Severity") -> bool:
        """True when this severity is as bad as `gate`, or worse."""
        return self.value <= gate.value


def worst(severities: "list[Severity]") -> Severity | None:
    """The worst of these severities, None of none."""
    return min(severities, default=None)


_NUMBER_AND_UNIT = re.compile(r"(\d+(?:\.\d+)?)([A-Za-z%]+)")


class Quantity(float):
    """A number with a unit, written as text in a policy. Its value is in the base unit `unit`."""

    unit: ClassVar[str]
    noun: ClassVar[str]
    pattern: ClassVar[str]
    sizes: ClassVar[Mapping[str, float]]
    """Every unit that may be written, in the base unit."""

    def __new__(cls, value: float | str) -> Self:
        """Raises ValueError for an infinite value, such as a number of several hundred digits."""
        quantity = super().__new__(cls, value)
        if not math.isfinite(quantity):
            raise ValueError(value)
        return quantity

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `text`, such as `1h30m`. Raises ValueError when it is not such a quantity."""
        if not re.fullmatch(cls.pattern, text):
            raise ValueError(text)
        return cls(sum(float(number) * cls.sizes[unit] for number, unit in _NUMBER_AND_UNIT.findall(text)))

    @classmethod
    def _validate(cls, value: object) -> Self:
        if isinstance(value, cls):
            return value
        if isinstance(value, str):
            try:
                return cls.parse(value.strip())
            except ValueError:
                pass
        raise PydanticCustomError("quantity", cls.noun)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._validate, serialization=core_schema.to_string_ser_schema()
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "pattern": cls.pattern, "description": cls.noun}


class Duration(Quantity):
    """A length of time in seconds, written `90s`, `15m`, `1h30m` or `30d`."""

    unit = "s"
    noun = "a duration with its unit (ms, s, m, h, d, w), such as 15m, 24h or 30d"
    pattern = r"^(\d+(\.\d+)?(ms|s|m|h|d|w))+$"
    sizes: ClassVar = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

    def __str__(self) -> str:
        return format_duration(float(self))


class Percentage(Quantity):
    """A share in percent, written `75%`; its value is 75.0."""

    unit = "%"
    noun = "a percentage such as 75%"
    pattern = r"^\d+(\.\d+)?%$"
    sizes: ClassVar = {"%": 1}

    def __str__(self) -> str:
        return format_value(float(self), self.unit)


class ByteSize(Quantity):
    """A number of bytes, written `20GB` (powers of ten) or `512MiB` (powers of two)."""

    unit = "B"
    noun = "a byte size with its unit (B, KB, MB, GB, TB, KiB, MiB, GiB, TiB), such as 20GB or 512MiB"
    pattern = r"^\d+(\.\d+)?(B|[kK]B|MB|GB|TB|KiB|MiB|GiB|TiB)$"
    sizes: ClassVar = {
        "B": 1,
        "kB": 10**3,
        "KB": 10**3,
        "MB": 10**6,
        "GB": 10**9,
        "TB": 10**12,
        "KiB": 2**10,
        "MiB": 2**20,
        "GiB": 2**30,
        "TiB": 2**40,
    }

    def __str__(self) -> str:
        return format_bytes(float(self))


def format_duration(seconds: float) -> str:
    """Seconds in at most two adjacent units: `250ms`, `5s`, `1h30m`, `12d`."""
    if seconds < 0:
        return "-" + format_duration(-seconds)
    if math.isinf(seconds):
        return "endless"
    if seconds < 0.0000001:  # noqa: PLR2004 - nothing that is measured here is so short
        return "0s"
    if seconds < 0.9995:  # noqa: PLR2004 - from there on it rounds to 1s
        return f"{seconds * 1000:.3g}ms"
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.3g}s"
    whole = round(seconds)
    for unit, next_unit in pairwise(("d", "h", "m", "s")):
        count, rest = divmod(whole, int(Duration.sizes[unit]))
        if count:
            smaller = rest // int(Duration.sizes[next_unit])
            return f"{count}{unit}{smaller}{next_unit}" if smaller else f"{count}{unit}"
    raise AssertionError(seconds)


def format_bytes(size: float) -> str:
    """Bytes in the largest unit of powers of ten that keeps a digit before the point."""
    for unit in ("TB", "GB", "MB", "KB"):
        if abs(size) >= ByteSize.sizes[unit]:
            number = size / ByteSize.sizes[unit]
            return f"{number:.3g}{unit}" if abs(number) < 100 else f"{number:.0f}{unit}"  # noqa: PLR2004 - three digits
    return f"{size:.0f}B"


def format_value(value: float | str, unit: str = "") -> str:
    """A number in its unit as a person reads it: `91.2%`, `250ms`, `3 pods`."""
    if isinstance(value, str):
        return value
    if unit == Duration.unit:
        return format_duration(float(value))
    if unit == ByteSize.unit:
        return format_bytes(float(value))
    number = f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"  # noqa: PLR2004 - four digits
    return f"{number}%" if unit == Percentage.unit else f"{number} {unit}".rstrip()


def _whole_number(value: object) -> object:
    # A boolean is an int to Python, and "3" is what an environment variable gives.
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise PydanticCustomError("count", "a whole number, such as 5")
    return value


Count = Annotated[int, Field(ge=0), BeforeValidator(_whole_number)]
"""A whole number that is not negative."""

# Not Count with Field(ge=1): of two lower bounds pydantic keeps the first.
PositiveCount = Annotated[int, Field(ge=1), BeforeValidator(_whole_number)]
"""A whole number of at least one."""


def _longer_than_nothing(value: "Duration") -> "Duration":
    if value <= 0:
        raise PydanticCustomError("no_time", "a duration longer than 0s, such as 5s")
    return value


Timeout = Annotated[Duration, AfterValidator(_longer_than_nothing)]
"""A time limit, longer than 0s."""


T = TypeVar("T", bound=float)

_PLAIN, _GRADED = "plain", "graded"


class Graded(Generic[T]):
    """
    An upper limit on one number.

    Written with a severity per step, `{P2: 75%, P0: 90%}`, or as one plain value, which then takes the
    expectation's own `severity`. `steps` are sorted from the lowest severity to the worst.
    """

    words: ClassVar[str] = "at most"
    comparator: ClassVar[str] = "<="
    _worse: ClassVar[str] = "larger"

    def __init__(self, steps: tuple[tuple[Severity, T], ...] = (), plain: T | None = None) -> None:
        self.steps = steps
        self.plain = plain

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, Graded) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        return self.steps, self.plain

    def breaks(self, observed: float, limit: T) -> bool:
        """True when `observed` violates `limit`."""
        return observed > limit

    def severity(self, observed: float) -> Severity | None:
        """The worst severity whose limit `observed` violates; None within all limits."""
        return worst([severity for severity, limit in self.steps if self.breaks(observed, limit)])

    def limit(self, observed: float) -> T:
        """The limit to show with `observed`: the worst violated one, or else the first."""
        broken = [limit for _, limit in self.steps if self.breaks(observed, limit)]
        return broken[-1] if broken else self.steps[0][1]

    def margin(self, observed: float) -> float:
        """Distance of `observed` to its limit; negative when it is violated."""
        return float(self.limit(observed)) - observed

    def with_severity(self, severity: Severity) -> Self:
        """The same limit with its plain value graded."""
        return self if self.plain is None else type(self)(steps=((severity, self.plain),))

    def __str__(self) -> str:
        if self.plain is not None:
            return str(self.plain)
        return ", ".join(f"{severity} {self.comparator} {_text(limit)}" for severity, limit in self.steps)

    @classmethod
    def _from_plain(cls, value: T) -> Self:
        _refuse_endless(value)
        return cls(plain=value)

    @classmethod
    def _from_steps(cls, steps: Mapping[Severity, T]) -> Self:
        if not steps:
            raise PydanticCustomError("graded_empty", "a limit for at least one severity, such as {P2: 10}")
        for value in steps.values():
            _refuse_endless(value)
        ordered = tuple(sorted(steps.items(), reverse=True))
        limit = cls(steps=ordered)
        for (lower, low), (higher, high) in pairwise(ordered):
            if not limit.breaks(float(high), low):
                raise PydanticCustomError(
                    "graded_order",
                    "limits that grow with the severity: {higher} ({high}) must be {worse} than {lower} ({low})",
                    {
                        "higher": higher.value,
                        "high": _text(high),
                        "worse": cls._worse,
                        "lower": lower.value,
                        "low": _text(low),
                    },
                )
        return limit

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        inner = handler.generate_schema(get_args(source)[0])
        steps = core_schema.dict_schema(handler.generate_schema(Severity), inner)
        return core_schema.tagged_union_schema(
            {
                _PLAIN: core_schema.no_info_after_validator_function(cls._from_plain, inner),
                _GRADED: core_schema.no_info_after_validator_function(cls._from_steps, steps),
            },
            discriminator=lambda value: _GRADED if isinstance(value, Mapping) else _PLAIN,
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        value = handler(cast("dict[str, Any]", schema)["choices"][_PLAIN])
        return {
            "anyOf": [
                value,
                {
                    "type": "object",
                    "properties": {severity.value: value for severity in Severity},
                    "additionalProperties": False,
                    "minProperties": 1,
                    "description": f"{cls.words} this, by severity",
                },
            ]
        }


class GradedMinimum(Graded[T]):
    """A lower limit on one number: `{P3: 30d, P1: 7d}`."""

    words: ClassVar[str] = "at least"
    comparator: ClassVar[str] = ">="
    _worse: ClassVar[str] = "smaller"

    def breaks(self, observed: float, limit: T) -> bool:
        """True when `observed` violates `limit`."""
        return observed < limit

    def margin(self, observed: float) -> float:
        """Distance of `observed` to its limit; negative when it is violated."""
        return observed - float(self.limit(observed))


def _refuse_endless(value: float) -> None:
    # Nothing is larger than an endless limit, and nothing compares with NaN.
    try:
        finite = math.isfinite(value)
    except OverflowError:
        finite = False
    if not finite:
        raise PydanticCustomError("limit_endless", "a finite number")


def _text(value: float) -> str:
    return str(value) if isinstance(value, Quantity) else format_value(value)
