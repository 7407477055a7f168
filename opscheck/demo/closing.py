"""Servers that are stopped when the `with` that started them ends."""

from types import TracebackType
from typing import Protocol, Self


class Closing(Protocol):
    """Anything with a `close` that may be called twice, as a context manager."""

    def close(self) -> None:
        """Stop, and leave nothing behind."""
        ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
