"""A row of the results, as Markdown for the file and as plain lines for the terminal."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest

_HEAD = ("row", "opscheck", "alternatives", "opscheck / other", "aim", "met")


@dataclass(frozen=True)
class Line:
    """One measured claim. Texts hold numbers with their units; `met` is None where nothing was aimed for."""

    what: str
    opscheck: str
    others: tuple[str, ...] = ()
    ratios: tuple[str, ...] = ()
    aim: str = ""
    met: bool | None = None

    def cells(self) -> tuple[str, ...]:
        """Its columns."""
        met = {True: "yes", False: "**no**", None: ""}[self.met]
        return (self.what, self.opscheck, "<br>".join(self.others), "<br>".join(self.ratios), self.aim, met)


def markdown(lines: Iterable[Line]) -> str:
    """A Markdown table."""
    rows = [_HEAD, ("---",) * len(_HEAD), *(line.cells() for line in lines)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def plain(line: Line) -> str:
    """The same for a terminal."""
    met = {True: "met", False: "MISSED", None: "-"}[line.met]
    others = "".join(
        f"\n      {text}" + (f"  ({times})" if times else "")
        for text, times in zip_longest(line.others, line.ratios, fillvalue="")
    )
    return f"  {line.what}: {line.opscheck}  [{line.aim or 'no aim'}: {met}]{others}"


def not_measured(what: str, why: object) -> Line:
    """A row without numbers, and the reason."""
    return Line(what=what, opscheck=f"not measured: {why}")


def seconds(value: float) -> str:
    """`0.42 s`, `380 ms` below a tenth of a second."""
    return f"{value * 1000:.0f} ms" if abs(value) < 0.1 else f"{value:.2f} s"


def megabytes(value: float) -> str:
    """`98 MB`; a megabyte has a million bytes."""
    return f"{value / 1e6:.0f} MB"


def ratio(ours: float, theirs: float) -> str:
    """Ours as a multiple of theirs, to two digits: `0.062 x`, `1.2 x`, `14 x`."""
    digits = max(0, 1 - math.floor(math.log10(abs(ours / theirs)))) if ours and theirs else 0
    return f"{ours / theirs:.{digits}f} x" if theirs else "-"
