"""Suggestions for misspelled names."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

from opscheck.core.units import ByteSize, Duration, Percentage, Quantity

_MOST = 30
_SEVERITY_NAMES = {"critical": "P0", "high": "P1", "medium": "P2", "low": "P3"}
_NUMBER_AND_UNIT = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z%]*)", re.ASCII)

# Units as people spell them, in small letters. A number without one gets the unit behind the empty spelling.
_SPELLINGS: dict[type[Quantity], dict[str, str]] = {
    Percentage: {"": "%", "%": "%", "percent": "%", "pct": "%"},
    Duration: {
        "": "s",
        **dict.fromkeys(("ms", "msec", "millis", "millisecond", "milliseconds"), "ms"),
        **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
        **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "m"),
        **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
        **dict.fromkeys(("d", "day", "days"), "d"),
        **dict.fromkeys(("w", "week", "weeks"), "w"),
    },
    ByteSize: {
        "": "GB",
        **dict.fromkeys(("b", "byte", "bytes"), "B"),
        **{spelling: f"{letter.upper()}B" for letter in "kmgt" for spelling in (letter, f"{letter}b")},
        **{spelling: f"{letter.upper()}iB" for letter in "kmgt" for spelling in (f"{letter}i", f"{letter}ib")},
    },
}


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` was probably meant to be; its case does not matter."""
    by_lower = {one.lower(): one for one in known}
    near = get_close_matches(word.lower(), by_lower, n=1)
    return by_lower[near[0]] if near else None


def nearest_choice(word: str, choices: Iterable[str]) -> str | None:
    """The choice that `word` was probably meant to be; a severity may be called by its usual name."""
    known = list(choices)
    usual = _SEVERITY_NAMES.get(word.lower())
    return usual if usual in known else nearest(word, known)


def did_you_mean(word: str, known: Iterable[str], otherwise: str) -> str | None:
    """A hint that names the nearest known word, else `otherwise` and all of them; None when nothing is known."""
    words = list(known)
    near = nearest(word, words)
    if near is not None:
        return f"did you mean {near}?"
    if not words:
        return None
    more = f" and {len(words) - _MOST} more" if len(words) > _MOST else ""
    return f"{otherwise} {', '.join(words[:_MOST])}{more}"


def with_unit(text: str, noun: str) -> str | None:
    """`text` as the quantity that calls itself `noun` is written: `75` as `75%`, `15 min` as `15m`."""
    kind = next((kind for kind in _SPELLINGS if kind.noun == noun), None)
    found = _NUMBER_AND_UNIT.fullmatch(text.strip().lower())
    if kind is None or found is None:
        return None
    number, spelling = found.groups()
    if kind is Percentage and not spelling and 0 < float(number) < 1:
        return f"{float(number) * 100:g}%"
    if kind is ByteSize and not spelling and float(number) >= 1024:  # noqa: PLR2004 - so many are hardly GB
        return f"{number}B"
    unit = _SPELLINGS[kind].get(spelling)
    return None if unit is None else number + unit
