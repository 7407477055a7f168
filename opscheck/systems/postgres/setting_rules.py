"""Rules for the settings and extensions of a server."""

import re
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from opscheck.core.operators import OneOperator
from opscheck.core.units import Severity


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One row of pg_settings, as clients see it, not opscheck's own session."""

    name: str
    type: str
    """bool, integer, real, enum or string."""
    value: str | None
    """Without its unit."""
    unit: str | None
    """The unit of its value: 8kB, ms."""
    minimum: str | None
    context: str
    """When it can change: internal (never), postmaster (restart), sighup, superuser, user and so on."""
    source: str
    """The value's source in pg_settings: configuration file, default, command line."""
    place: str
    """File and line, if it comes from a file."""
    own: bool
    """True when opscheck's own role or dsn sets it, which hides the value of other clients."""
    masked: bool
    """True when part of the value looks like a secret and is left out."""
    pending_restart: bool


AMOUNT = re.compile(r"(-?\d+(?:\.\d+)?)\s*([A-Za-z]*)")
"""A number with or without a unit, as in postgresql.conf."""
BYTES = {"B": 1, "kB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}
BYTES |= {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
"""PostgreSQL's units of memory are powers of two; KiB and the like are accepted as well."""
MILLISECONDS = {"us": 0.001, "ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
"""PostgreSQL's units of time."""
_WORDS = {
    "equals": "",
    "other_than": "not ",
    "one_of": "one of ",
    "at_least": ">= ",
    "at_most": "<= ",
}
_VERSION = re.compile(r"(>=\s*)?[0-9][0-9A-Za-z.+-]*")


def written(value: Any) -> str:
    """A value of a setting in readable form."""
    return _text(value) or "empty"


def _text(value: Any) -> str:
    """A value as in postgresql.conf."""
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
    """A rule for a setting. A plain value means `equals`."""

    places: ClassVar[frozenset[str]] = frozenset({"severity"})

    equals: Scalar | None = None
    """The value: on, replica, 4MB, 100."""
    other_than: Scalar | None = None
    """A forbidden value, such as -1 or an empty text."""
    one_of: Annotated[tuple[Scalar, ...], Field(min_length=1)] | None = None
    """Allowed values."""
    at_least: AmountField | None = None
    """Minimum amount. An unlimited value, such as -1 or a timeout of 0, exceeds any amount."""
    at_most: AmountField | None = None
    """Maximum amount. An unlimited value exceeds it."""
    severity: Severity | None = None
    """Severity of a different value; the expectation's severity by default."""

    @property
    def words(self) -> str:
        """The rule as a finding shows it."""
        several = isinstance(self.operand, tuple)
        operand = ", ".join(map(written, self.operand)) if several else written(self.operand)
        return _WORDS[self.operator] + operand

    def __str__(self) -> str:
        return f"{self.words}, {self.severity}" if self.severity else self.words


class ExtensionRule(BaseModel):
    """The required version of an extension."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Annotated[str, AfterValidator(_version)] = "any"
    """`any`, an exact version, or `">= 3.4"`."""
    severity: Severity | None = None
    """Severity if it is missing or has another version; the expectation's severity by default."""


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
"""True to judge a group at the expectation's severity, a severity to judge it at, or false to leave it out."""

_TRUE, _FALSE = frozenset({"on", "true", "yes", "1"}), frozenset({"off", "false", "no", "0"})
_NUMERIC = frozenset({"integer", "real"})
_UNIT = re.compile(r"(\d*)([A-Za-z]+)")
_POWER_OF_TWO = re.compile(r"^(\d+(?:\.\d+)?)\s*([KMGT])iB$")
_ENDLESS = float("inf")
# Settings whose 0 means never or unlimited. An allowed -1 always means that.
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
    """A policy compares a setting with an invalid value."""


def keeps(setting: Setting, rule: SettingRule) -> bool:
    """True when the setting satisfies the rule. Raises NotComparableError."""
    operand = rule.operand
    match rule.operator:
        case "equals":
            return _equal(setting, operand)
        case "other_than":
            return not _equal(setting, operand)
        case "one_of":
            return sum(_equal(setting, one) for one in operand) > 0  # all of them, because an invalid value must raise
        case "at_least":
            return _lasting(setting) >= _wanted(setting, operand)
        case _:
            return _lasting(setting) <= _wanted(setting, operand)


def wanted(rule: SettingRule) -> str | None:
    """A value that satisfies the rule; None where the rule does not determine one."""
    if rule.operator == "other_than":
        return None
    operand = rule.operand[0] if rule.operator == "one_of" else rule.operand
    # The server does not accept KiB and the like.
    return _POWER_OF_TWO.sub(lambda unit: f"{unit[1]}{unit[2].replace('K', 'k')}B", _text(operand))


def shown(setting: Setting) -> str:
    """The value in readable form, with its unit."""
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
            raise NotComparableError(f"{setting.name} is on or off; {wanted} is not a valid value")
        return value == ("on" if switch in _TRUE else "off")
    return value.lower() == _text(wanted).lower() if setting.type == "enum" else value == _text(wanted)


def _lasting(setting: Setting) -> float:
    """The amount; infinite for an unlimited value."""
    amount = _of(setting)
    if amount < 0 and setting.minimum is not None and float(setting.minimum) == -1:
        return _ENDLESS
    return _ENDLESS if amount == 0 and setting.name in _ENDLESS_AT_ZERO else amount


def _of(setting: Setting) -> float:
    """Its value in bytes, in milliseconds, or without a unit."""
    if setting.type not in _NUMERIC or setting.value is None:
        raise NotComparableError(f"{setting.name} is not a number but of type {setting.type}")
    value = float(setting.value)
    return value if value < 0 else value * _unit(setting)[0]


def _wanted(setting: Setting, wanted: Any) -> float:
    """The policy's amount, in the unit kind of the setting."""
    size, kind = _unit(setting)
    matched = None if isinstance(wanted, bool) else AMOUNT.fullmatch(str(wanted).strip())
    if setting.type not in _NUMERIC or matched is None:
        raise NotComparableError(f"{setting.name} is of type {setting.type}; {written(wanted)} is not a valid value")
    number, unit = float(matched[1]), matched[2]
    if not unit:
        return number if number < 0 else number * size
    own = BYTES if kind == "B" else MILLISECONDS if kind == "ms" else {}
    if unit not in own:
        counted = f"measured in {setting.unit}" if setting.unit else "a number without a unit"
        raise NotComparableError(f"{setting.name} is {counted}, but {wanted} is not")
    return number * own[unit]


def _unit(setting: Setting) -> tuple[float, str]:
    """The factor and the kind of the setting's unit: `B`, `ms` or empty."""
    matched = _UNIT.fullmatch(setting.unit or "")
    if matched is None:
        return 1, ""
    times, unit = float(matched[1] or 1), matched[2]
    return (times * BYTES[unit], "B") if unit in BYTES else (times * MILLISECONDS[unit], "ms")
