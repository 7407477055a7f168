"""Servers that stop at the end of their `with` block."""

from types import TracebackType
from typing import Protocol, Self


class Closing(Protocol):
    """A context manager with a `close` that may be called twice."""

    def close(self) -> None:
        """Stop, and leave nothing behind."""
        ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
