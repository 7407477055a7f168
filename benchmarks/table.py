"""What a row of the results says, and how it is written: Markdown for the file, the same in plain lines for people."""

from collections.abc import Iterable
from dataclasses import dataclass

_HEAD = ("what", "opscheck", "beside it", "ratio", "aim", "met")


@dataclass(frozen=True)
class Line:
    """One measured claim. Texts hold numbers with their units; `met` is None where nothing was aimed for."""

    what: str
    opscheck: str
    beside: tuple[str, ...] = ()
    ratio: tuple[str, ...] = ()
    aim: str = ""
    met: bool | None = None

    def cells(self) -> tuple[str, ...]:
        """Its columns."""
        met = {True: "yes", False: "**no**", None: ""}[self.met]
        return (self.what, self.opscheck, "<br>".join(self.beside), "<br>".join(self.ratio), self.aim, met)


def markdown(lines: Iterable[Line]) -> str:
    """A Markdown table."""
    rows = [_HEAD, ("---",) * len(_HEAD), *(line.cells() for line in lines)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def plain(line: Line) -> str:
    """The same for a terminal."""
    met = {True: "met", False: "MISSED", None: "-"}[line.met]
    beside = "".join(
        f"\n      {text}" + (f"  ({ratio})" if ratio else "")
        for text, ratio in zip(line.beside, [*line.ratio, *[""] * len(line.beside)], strict=False)
    )
    return f"  {line.what}: {line.opscheck}  [{line.aim or 'no aim'}: {met}]{beside}"


def seconds(value: float) -> str:
    """`0.42 s`, `380 ms` below a tenth of a second."""
    return f"{value * 1000:.0f} ms" if abs(value) < 0.1 else f"{value:.2f} s"


def megabytes(value: float) -> str:
    """`98 MB`; a megabyte has a million bytes."""
    return f"{value / 1e6:.0f} MB"


def times(value: float) -> str:
    """`1.4 x`."""
    return f"{value:.1f} x" if value < 100 else f"{value:.0f} x"
