"""Lines for a terminal of one width: labelled fields, prose, commands, and what a colour terminal adds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from opscheck.reports.text import command_lines, cut, lines_of, one_line, wrapped

_LABEL = 10
_NARROWEST = 40


class Style(StrEnum):
    """What a text means; the value is what ANSI calls it (SGR)."""

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
    """Lays text out in `width` columns. Every value it is given may come from a target and is made harmless."""

    width: int
    colour: bool
    now: datetime

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
        """A label and its text, wrapped beside the label; nothing where there is no text."""
        if not text:
            return []
        first, *rest = self.prose(text, indent=_LABEL + 2, most=most)
        return [self._label(label) + self.ink(first.lstrip(), style), *(self.ink(line, style) for line in rest)]

    def address(self, label: str, text: str | None, *, style: Style = Style.PLAIN) -> list[str]:
        """A label and a URL or a place in a file, if any; it is never broken, so that it can be clicked."""
        return [self._label(label) + self.ink(one_line(text), style)] if text else []

    def quoted(self, label: str, texts: Iterable[str], *, most: int | None) -> list[str]:
        """A label and lines as they are, each cut where the page ends; at most `most` of them."""
        lines = [line for text in texts for line in lines_of(text)]
        shown = lines if most is None or len(lines) <= most else lines[:most]
        if more := len(lines) - len(shown):
            shown = [*shown, f"… {more} more lines; -v shows them"]
        width = max(self.width, _NARROWEST) - _LABEL - 2
        labels = [self._label(label), *[" " * (_LABEL + 2)] * len(shown)]
        return [head + cut(line, width) for head, line in zip(labels, shown, strict=False)]

    def commands(self, commands: Sequence[str]) -> list[str]:
        """Shell commands, each on lines of its own that hold nothing else and are never broken."""
        return [f"    {self.ink(line, Style.STRONG)}" for command in commands for line in command_lines(command)]

    def _label(self, label: str) -> str:
        return "  " + self.ink(label, Style.DIM) + " " * (_LABEL - len(label))
