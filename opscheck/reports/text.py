"""Text for a terminal: how wide it is, where it is wrapped or cut, and how times are said."""

import unicodedata
from datetime import UTC, datetime

from opscheck.core.escaping import visible
from opscheck.core.units import format_duration

ELLIPSIS = "…"

_INVISIBLE = {"Mn", "Me"}
_WIDE = {"W", "F"}


def one_line(text: str) -> str:
    """`text` on one line: runs of blanks and line ends are one space, what a terminal would obey is written out."""
    return " ".join(visible(word) for word in text.split())


def lines_of(text: str) -> list[str]:
    """The lines of `text`, as far as they say something, with everything that a terminal would obey written out."""
    return [visible(line.expandtabs().rstrip()) for line in text.splitlines() if line.strip()]


def command_lines(command: str) -> list[str]:
    """The lines of a shell command, to be copied: nothing is changed but what a terminal would obey."""
    return ["\t".join(visible(part) for part in line.split("\t")) for line in command.rstrip("\n").split("\n")]


def width_of(text: str) -> int:
    """How many columns of a terminal `text` takes."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def padded(text: str, width: int) -> str:
    """`text` with spaces behind it up to `width` columns."""
    return text + " " * (width - width_of(text))


def cut(text: str, width: int) -> str:
    """`text` in at most `width` columns; where some is missing, `…` stands at its end."""
    if width_of(text) <= width:
        return text
    return _head(text, width - 1) + ELLIPSIS


def wrapped(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width` columns, broken between words, and inside one that is wider than a line."""
    lines = [""]
    for word in text.split(" "):
        rest = word
        if lines[-1] and width_of(lines[-1]) + 1 + width_of(rest) <= width:
            lines[-1] += f" {rest}"
            continue
        if lines[-1]:
            lines.append("")
        while width_of(rest) > width:
            lines[-1] = _head(rest, width) or rest[0]
            rest = rest[len(lines[-1]) :]
            lines.append("")
        lines[-1] = rest
    return lines


def timestamp(at: datetime) -> str:
    """`at` to the second in UTC, such as 2026-03-01T03:12:05Z, for a file that is read elsewhere and later."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(at: datetime, now: datetime) -> str:
    """A time as `09:47 UTC`, with its date when that is not today's."""
    at, today = at.astimezone(UTC), now.astimezone(UTC).date()
    return f"{at:%H:%M} UTC" if at.date() == today else f"{at:%Y-%m-%d %H:%M} UTC"


def distance(at: datetime, now: datetime) -> str:
    """How far a time is from `now`: `2h13m ago`, `in 15m`, `now`."""
    seconds = round((at - now).total_seconds())
    if seconds == 0:
        return "now"
    return f"in {format_duration(seconds)}" if seconds > 0 else f"{format_duration(-seconds)} ago"


def _columns(character: str) -> int:
    if unicodedata.category(character) in _INVISIBLE:
        return 0
    return 2 if unicodedata.east_asian_width(character) in _WIDE else 1


def _head(text: str, width: int) -> str:
    """As much of the beginning of `text` as fits."""
    used = 0
    for index, character in enumerate(text):
        used += _columns(character)
        if used > width:
            return text[:index]
    return text
