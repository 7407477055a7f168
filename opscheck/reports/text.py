"""Text for a terminal of one width: wrapped, cut, labelled, coloured, with times."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from opscheck.core.escaping import visible
from opscheck.core.units import format_duration

ELLIPSIS = "…"

_LABEL = 10
_NARROWEST = 40
_INVISIBLE = {"Mn", "Me"}
_WIDE = {"W", "F"}
_COMMAND_LINE = re.compile(r"^((?:\s|\x1b\[[0-9;]*m)*):(?=:)", re.MULTILINE)
_COMMAND = re.compile(r"##(?=(?:vso)?\[)", re.IGNORECASE)
_SECTION = re.compile(r"(section_(?:start|end)):")
# A comparator stays with its limit.
_BREAKS = re.compile(r"(?<![<>]=) ")


def one_line(text: str) -> str:
    """`text` on one line: runs of white space are one space, control characters are escaped."""
    return " ".join(visible(word) for word in text.split())


def lines_of(text: str) -> list[str]:
    """The lines of `text` that are not empty, with control characters escaped."""
    return [visible(line.expandtabs().rstrip()) for line in text.splitlines() if line.strip()]


def command_lines(command: str) -> list[str]:
    """The lines of a shell command, to be copied: only control characters are escaped."""
    return ["\t".join(visible(part) for part in line.split("\t")) for line in command.rstrip("\n").split("\n")]


def without_workflow_commands(text: str) -> str:
    """
    `text` in which no job log reads a command: its first character, or the mark in it, is written out.

    GitHub Actions reads `::` at the begin of a line, blanks before it or not, and `##[` anywhere; Azure Pipelines
    `##vso[` anywhere; GitLab `section_start:` and `section_end:`.
    """
    text = _COMMAND_LINE.sub(r"\1\\x3a", text)
    return _SECTION.sub(r"\1\\x3a", _COMMAND.sub(r"#\\x23", text))


def for_job_log(text: str) -> str:
    """`text` of others, such as captured output: also with control characters written out, but line ends and tabs."""
    lines = ("\t".join(visible(part) for part in line.split("\t")) for line in text.split("\n"))
    return without_workflow_commands("\n".join(lines))


def width_of(text: str) -> int:
    """The width of `text` in terminal columns."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def padded(text: str, width: int) -> str:
    """`text` with spaces behind it up to `width` columns."""
    return text + " " * (width - width_of(text))


def cut(text: str, width: int) -> str:
    """`text` in at most `width` columns. A cut is between words where it can be, and `…` marks it."""
    if width_of(text) <= width:
        return text
    head = _head(text, width - 1)
    words = head.rpartition(" ")[0] if text[len(head)] != " " else head
    words = re.sub(r"( [<>]=)?[ ,;:]*$", "", words)
    return (words if width_of(words) >= width // 2 else head) + ELLIPSIS


def cuts_word(text: str, shown: str) -> bool:
    """True when `shown`, which `cut` made of `text`, ends inside a word."""
    return shown != text and text[len(shown) - len(ELLIPSIS) :][:1] not in set(" ,;:")


def wrapped(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width` columns, broken between words, and inside one that is wider than a line."""
    lines = [""]
    for word in _BREAKS.split(text):
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
    """The distance of a time from `now`: `2h13m ago`, `in 15m`, `now`."""
    seconds = round((at - now).total_seconds())
    if seconds == 0:
        return "now"
    return f"in {format_duration(seconds)}" if seconds > 0 else f"{format_duration(-seconds)} ago"


def _columns(character: str) -> int:
    if unicodedata.category(character) in _INVISIBLE:
        return 0
    return 2 if unicodedata.east_asian_width(character) in _WIDE else 1


def _head(text: str, width: int) -> str:
    """The longest beginning of `text` that fits."""
    used = 0
    for index, character in enumerate(text):
        used += _columns(character)
        if used > width:
            return text[:index]
    return text


class Style(StrEnum):
    """The meaning of a text; the value is its ANSI code (SGR)."""

    WORST = "1;31"
    BAD = "31"
    WARN = "33"
    NOTE = "36"
    UNKNOWN = "1;35"
    GOOD = "1;32"
    STRONG = "1"
    DIM = "2"
    PLAIN = ""


@dataclass(frozen=True)
class Page:
    """Lays text out in `width` columns. Every value may come from a target and is made harmless."""

    width: int
    colour: bool
    now: datetime
    whole: bool = False
    """True when no line of evidence is cut."""

    def ink(self, text: str, style: Style) -> str:
        """`text` in `style`, where there is colour. `text` must be harmless already."""
        return f"\x1b[{style}m{text}\x1b[0m" if self.colour and style and text else text

    def prose(self, text: str, *, indent: int = 0, most: int | None = None) -> list[str]:
        """`text` as wrapped lines, each behind `indent` spaces; at most `most` of them."""
        width = max(self.width, _NARROWEST) - indent
        lines = wrapped(one_line(text), width)
        if most is not None and len(lines) > most:
            lines = [*lines[: most - 1], cut(" ".join(lines[most - 1 :]), width)]
        return [" " * indent + line for line in lines]

    def field(self, label: str, text: str, *, most: int | None = None, style: Style = Style.PLAIN) -> list[str]:
        """A label and its text, wrapped next to the label; nothing without text."""
        if not text:
            return []
        first, *rest = self.prose(text, indent=_LABEL + 2, most=most)
        return [self._label(label) + self.ink(first.lstrip(), style), *(self.ink(line, style) for line in rest)]

    def address(self, label: str, text: str | None, *, style: Style = Style.PLAIN) -> list[str]:
        """A label and a URL or a place in a file, if any; it is never broken, so that it can be clicked."""
        return [self._label(label) + self.ink(one_line(text), style)] if text else []

    def quoted(self, label: str, texts: Iterable[str], *, most: int | None) -> list[str]:
        """A label and lines, each cut at the page width unless it is `whole`; at most `most` of them."""
        lines = [line for text in texts for line in lines_of(text)]
        shown = lines if most is None or len(lines) <= most else lines[:most]
        if more := len(lines) - len(shown):
            shown = [*shown, f"… {more} more lines; -v shows them"]
        width = max(self.width, _NARROWEST) - _LABEL - 2
        labels = [self._label(label), *[" " * (_LABEL + 2)] * len(shown)]
        return [head + (line if self.whole else cut(line, width)) for head, line in zip(labels, shown, strict=False)]

    def commands(self, commands: Sequence[str]) -> list[str]:
        """Shell commands, each on lines of its own that contain nothing else and are never broken."""
        return [f"    {self.ink(line, Style.STRONG)}" for command in commands for line in command_lines(command)]

    def _label(self, label: str) -> str:
        return "  " + self.ink(label, Style.DIM) + " " * (_LABEL - len(label))
