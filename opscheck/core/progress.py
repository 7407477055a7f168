"""Progress of long work, for the progress line of a terminal."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from opscheck.core.units import format_bytes


@dataclass(eq=False)
class _Work:
    what: str
    total: float | None
    done: float = 0.0

    def __str__(self) -> str:
        if not self.total:
            return f"{self.what} {format_bytes(self.done)}" if self.done else self.what
        return f"{self.what} {min(1.0, self.done / self.total):.0%} of {format_bytes(self.total)}"


_going: list[_Work] = []
_changing = threading.Lock()


@contextmanager
def working(what: str, total: float | None = None) -> Iterator[Callable[[float], None]]:
    """
    Show this work as running until the `with` ends; call the yielded function with the bytes done so far.

    what: such as `reading database/backup.dump`. total: in bytes, if known.
    """
    work = _Work(what, total)
    with _changing:
        _going.append(work)

    def report(done: float) -> None:
        work.done = done

    try:
        yield report
    finally:
        with _changing:
            _going.remove(work)


def going_on() -> str:
    """The running work in one line; empty when nothing runs."""
    with _changing:
        return ", ".join(str(work) for work in _going)
