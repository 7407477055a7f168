"""Kubernetes quantities, such as `250m`, `1500000n`, `512Mi` and `1e3`, read without rounding."""

import re
from fractions import Fraction

_QUANTITY = re.compile(r"(?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+))(?P<unit>[numkMGTPE]|[KMGTPE]i|[eE][+-]?\d{1,2})?")
_UNITS = {"n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000)}
_UNITS |= {unit: Fraction(1000**power) for power, unit in enumerate("kMGTPE", start=1)}
_UNITS |= {f"{unit}i": Fraction(1024**power) for power, unit in enumerate("KMGTPE", start=1)}
_LONGEST = 64


def parse_quantity(text: str) -> Fraction:
    """The number that `text` stands for, in cores or bytes. Raises ValueError."""
    match = _QUANTITY.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        raise ValueError(f"{text[:_LONGEST]!r} is no quantity; one is 250m, 2 or 512Mi")
    # `1E` is an exa and `1E3` a thousand: an E with digits behind it is an exponent.
    unit = match["unit"] or ""
    factor = _UNITS.get(unit) or (Fraction(10) ** int(unit[1:]) if unit else Fraction(1))
    return Fraction(match["number"]) * factor


def doubled(text: str) -> str | None:
    """Twice a quantity, written with the same unit; None for what is no quantity."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        return None
    number = Fraction(match["number"]) * 2
    written = str(number.numerator) if number.denominator == 1 else f"{float(number):g}"
    return written + (match["unit"] or "")
