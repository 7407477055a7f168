"""What settings and extensions of a server must be."""

import re
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from opscheck.core.operators import OneOperator
from opscheck.core.units import Severity


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One row of pg_settings, as it is for clients and not for opscheck's own session."""

    name: str
    type: str
    """bool, integer, real, enum or string."""
    value: str | None
    """Without its unit."""
    unit: str | None
    """What one of it is: 8kB, ms."""
    minimum: str | None
    context: str
    """When it can change: internal (never), postmaster (by a restart), sighup, superuser, user and so on."""
    source: str
    """Where the value comes from, as pg_settings has it: configuration file, default, command line."""
    place: str
    """File and line, where it comes from a file."""
    own: bool
    """True when opscheck's own role or dsn sets it, so that the value for others is hidden."""
    masked: bool
    """True when part of the value looks like a secret, and is not here."""
    pending_restart: bool


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
    "at_least": ">= ",
    "at_most": "<= ",
}
_VERSION = re.compile(r"(>=\s*)?[0-9][0-9A-Za-z.+-]*")


def written(value: Any) -> str:
    """A value of a setting as a person would write it."""
    return _text(value) or "an empty text"


def _text(value: Any) -> str:
    """A value as postgresql.conf has it."""
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


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
AmountField = Annotated[int | float | str, BeforeValidator(_amount)]


class SettingRule(OneOperator):
    """What a setting must be. A plain value in its place must be equal to it."""

    places: ClassVar[frozenset[str]] = frozenset({"severity"})

    equals: Scalar | None = None
    """The value: on, replica, 4MB, 100."""
    other_than: Scalar | None = None
    """A value that it must not have, such as -1 or an empty text."""
    one_of: Annotated[tuple[Scalar, ...], Field(min_length=1)] | None = None
    """Several values that are all right."""
    at_least: AmountField | None = None
    """The smallest amount that is all right. What has no end, such as -1 or a time-out of 0, is more than any."""
    at_most: AmountField | None = None
    """The largest amount that is all right. What has no end is more than that."""
    severity: Severity | None = None
    """How bad it is when the setting is something else; the expectation's own severity by default."""

    @property
    def words(self) -> str:
        """The rule as a finding shows it."""
        several = isinstance(self.operand, tuple)
        operand = ", ".join(map(written, self.operand)) if several else written(self.operand)
        return _WORDS[self.operator] + operand

    def __str__(self) -> str:
        return f"{self.words}, {self.severity}" if self.severity else self.words


class ExtensionRule(BaseModel):
    """Which version of an extension must be installed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Annotated[str, AfterValidator(_version)] = "any"
    """`any`, exactly a version, or `">= 3.4"`."""
    severity: Severity | None = None
    """How bad it is when it is not there, or in another version; the expectation's own severity by default."""


def _as_setting(value: object) -> object:
    return {"equals": value} if isinstance(value, Scalar) else value


def _as_extension(value: object) -> object:
    return {"version": value} if isinstance(value, str) else value


def _disabled(value: object) -> object:
    return None if value is False else value


WantedSetting = Annotated[SettingRule, BeforeValidator(_as_setting, json_schema_input_type=Scalar | SettingRule)]
WantedExtension = Annotated[ExtensionRule, BeforeValidator(_as_extension, json_schema_input_type=str | ExtensionRule)]
Enabled = Annotated[
    Literal[True] | Severity | None, BeforeValidator(_disabled, json_schema_input_type=bool | Severity | None)
]
"""Whether something is judged: true at the expectation's severity, or a severity of its own; false leaves it out."""

_TRUE, _FALSE = frozenset({"on", "true", "yes", "1"}), frozenset({"off", "false", "no", "0"})
_NUMERIC = frozenset({"integer", "real"})
_UNIT = re.compile(r"(\d*)([A-Za-z]+)")
_POWER_OF_TWO = re.compile(r"^(\d+(?:\.\d+)?)\s*([KMGT])iB$")
_ENDLESS = float("inf")
# Where 0 means never, or as much as one likes. -1 does so wherever it is allowed.
_ENDLESS_AT_ZERO = frozenset(
    {
        "statement_timeout",
        "lock_timeout",
        "idle_in_transaction_session_timeout",
        "idle_session_timeout",
        "transaction_timeout",
        "archive_timeout",
        "wal_sender_timeout",
        "wal_receiver_timeout",
        "idle_replication_slot_timeout",
        "checkpoint_warning",
        "client_connection_check_interval",
        "log_rotation_age",
        "log_rotation_size",
    }
)


class NotComparableError(ValueError):
    """A policy compares a setting with something that is no value of it."""


def keeps(setting: Setting, rule: SettingRule) -> bool:
    """True when the setting keeps the rule. Raises NotComparableError."""
    operand = rule.operand
    match rule.operator:
        case "equals":
            return _equal(setting, operand)
        case "other_than":
            return not _equal(setting, operand)
        case "one_of":
            return sum(_equal(setting, one) for one in operand) > 0  # each: one that cannot be compared must raise
        case "at_least":
            return _lasting(setting) >= _wanted(setting, operand)
        case _:
            return _lasting(setting) <= _wanted(setting, operand)


def wanted(rule: SettingRule) -> str | None:
    """A value to set that keeps the rule; None where there are too many to choose from."""
    if rule.operator == "other_than":
        return None
    operand = rule.operand[0] if rule.operator == "one_of" else rule.operand
    # The server does not know KiB and its like.
    return _POWER_OF_TWO.sub(lambda unit: f"{unit[1]}{unit[2].replace('K', 'k')}B", _text(operand))


def shown(setting: Setting) -> str:
    """The value as a person would write it, with its unit."""
    if setting.type not in _NUMERIC or not setting.unit or setting.value is None:
        return written(setting.value or "")
    if float(setting.value) < 0:
        return setting.value
    amount, (_, kind) = _of(setting), _unit(setting)
    if not amount:
        return "0"
    units = {name: size for name, size in BYTES.items() if "i" not in name} if kind == "B" else MILLISECONDS
    unit = next((name for name in reversed(units) if amount % units[name] == 0), next(iter(units)))
    return f"{amount / units[unit]:.15g}{unit}"


def _equal(setting: Setting, wanted: Any) -> bool:
    value = setting.value or ""
    if setting.type in _NUMERIC:
        return _of(setting) == _wanted(setting, wanted)
    if setting.type == "bool":
        switch = str(wanted).lower()
        if switch not in _TRUE | _FALSE:
            raise NotComparableError(f"{setting.name} is on or off, and never {wanted}")
        return value == ("on" if switch in _TRUE else "off")
    return value.lower() == _text(wanted).lower() if setting.type == "enum" else value == _text(wanted)


def _lasting(setting: Setting) -> float:
    """The amount; infinite for a value that means no limit."""
    amount = _of(setting)
    if amount < 0 and setting.minimum is not None and float(setting.minimum) == -1:
        return _ENDLESS
    return _ENDLESS if amount == 0 and setting.name in _ENDLESS_AT_ZERO else amount


def _of(setting: Setting) -> float:
    """Its number of bytes, of milliseconds, or of whatever it counts."""
    if setting.type not in _NUMERIC or setting.value is None:
        raise NotComparableError(f"{setting.name} is no amount but of type {setting.type}")
    value = float(setting.value)
    return value if value < 0 else value * _unit(setting)[0]


def _wanted(setting: Setting, wanted: Any) -> float:
    """The amount that a policy names, in what the setting counts."""
    size, kind = _unit(setting)
    matched = None if isinstance(wanted, bool) else AMOUNT.fullmatch(str(wanted).strip())
    if setting.type not in _NUMERIC or matched is None:
        raise NotComparableError(f"{setting.name} is of type {setting.type}, and {written(wanted)} is no such value")
    number, unit = float(matched[1]), matched[2]
    if not unit:
        return number if number < 0 else number * size
    own = BYTES if kind == "B" else MILLISECONDS if kind == "ms" else {}
    if unit not in own:
        counted = f"counted in {setting.unit}" if setting.unit else "a number without a unit"
        raise NotComparableError(f"{setting.name} is {counted}, and {wanted} is not")
    return number * own[unit]


def _unit(setting: Setting) -> tuple[float, str]:
    """How much one of the setting is, and of what: `B`, `ms` or nothing."""
    matched = _UNIT.fullmatch(setting.unit or "")
    if matched is None:
        return 1, ""
    times, unit = float(matched[1] or 1), matched[2]
    return (times * BYTES[unit], "B") if unit in BYTES else (times * MILLISECONDS[unit], "ms")
