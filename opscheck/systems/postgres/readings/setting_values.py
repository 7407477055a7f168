"""What the value of a setting is, and whether it is what a policy says."""

import re
from dataclasses import dataclass
from typing import Any

from opscheck.systems.postgres.expectations.setting_rules import AMOUNT, BYTES, MILLISECONDS, SettingRule, written
from opscheck.systems.postgres.queries.settings import Setting

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


@dataclass(frozen=True)
class Amount:
    """A number of bytes, of milliseconds, or of whatever the setting counts."""

    value: float
    kind: str
    """B, ms, or nothing."""


def keeps(setting: Setting, rule: SettingRule) -> bool:
    """True when the setting is what the rule says. Raises NotComparableError."""
    operand = rule.operand
    match rule.operator:
        case "equals":
            return _equal(setting, operand)
        case "other_than":
            return not _equal(setting, operand)
        case "one_of":
            return sum(_equal(setting, one) for one in operand) > 0  # each, so that one that cannot be is told
        case "at_least":
            return _lasting(setting) >= _wanted(setting, operand)
        case _:
            return _lasting(setting) <= _wanted(setting, operand)


def wanted(rule: SettingRule) -> str | None:
    """A value to set that keeps the rule; None where there are too many to choose from."""
    if rule.operator == "other_than":
        return None
    operand = rule.operand[0] if rule.operator == "one_of" else rule.operand
    if isinstance(operand, bool):
        return "on" if operand else "off"
    # The server does not know KiB and its like.
    return _POWER_OF_TWO.sub(lambda unit: f"{unit[1]}{unit[2].replace('K', 'k')}B", str(operand))


def shown(setting: Setting) -> str:
    """The value as a person would write it, with its unit."""
    if setting.type not in _NUMERIC or not setting.unit or setting.value is None:
        return written(setting.value or "")
    if float(setting.value) < 0:
        return setting.value
    amount = _of(setting)
    units = {name: size for name, size in BYTES.items() if "i" not in name} if amount.kind == "B" else MILLISECONDS
    fitting = [name for name, size in units.items() if amount.value and amount.value % size == 0]
    unit = fitting[-1] if fitting else next(iter(units)) if amount.value else ""
    return f"{amount.value / units[unit]:.15g}{unit}" if unit else "0"


def _equal(setting: Setting, wanted: Any) -> bool:
    value = setting.value or ""
    if setting.type in _NUMERIC:
        return _of(setting).value == _wanted(setting, wanted)
    if setting.type == "bool":
        return value == _switch(setting, wanted)
    text = ("on" if wanted else "off") if isinstance(wanted, bool) else str(wanted)
    return value.lower() == text.lower() if setting.type == "enum" else value == text


def _switch(setting: Setting, wanted: Any) -> str:
    text = str(wanted).lower()
    if text not in _TRUE | _FALSE:
        raise NotComparableError(f"{setting.name} is on or off, and never {wanted}")
    return "on" if text in _TRUE else "off"


def _lasting(setting: Setting) -> float:
    """The amount, without end where the value says so."""
    amount = _of(setting).value
    if amount < 0 and setting.minimum is not None and float(setting.minimum) == -1:
        return _ENDLESS
    return _ENDLESS if amount == 0 and setting.name in _ENDLESS_AT_ZERO else amount


def _of(setting: Setting) -> Amount:
    if setting.type not in _NUMERIC or setting.value is None:
        raise NotComparableError(f"{setting.name} is no amount but of type {setting.type}")
    size, kind = _unit(setting)
    value = float(setting.value)
    return Amount(value if value < 0 else value * size, kind)


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
    """How much one of the setting is, and of what."""
    matched = _UNIT.fullmatch(setting.unit or "")
    if matched is None:
        return 1, ""
    times, unit = float(matched[1] or 1), matched[2]
    return (times * BYTES[unit], "B") if unit in BYTES else (times * MILLISECONDS[unit], "ms")
