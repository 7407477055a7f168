"""What a store can do for its session: list its objects and read them, and nothing else."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pkgutil import resolve_name
from typing import Any, Protocol

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.query import Query


@dataclass(frozen=True)
class Entry:
    """One object as the store lists it."""

    key: str
    size: int
    modified: datetime
    storage_class: str = ""
    version: str = ""
    deleted: bool = False


class Store(Protocol):
    """A bucket or a folder. Every method raises ProbeError, and ends by `deadline` on the monotonic clock."""

    address: str
    """The store as a person finds it: `s3://bucket`, `/mnt/backups`."""

    def pages(
        self, prefix: str, *, after: str = "", versions: bool = False, deadline: float
    ) -> Iterator[tuple[Entry, ...]]:
        """What is there under `prefix`, by key, from the first key that sorts after `after`; a page per request."""
        ...

    def size(self, key: str, version: str, *, deadline: float) -> int:
        """How many bytes the object has. ABSENT where there is none."""
        ...

    def open(
        self, key: str, version: str, *, start: int = 0, length: int | None = None, deadline: float
    ) -> AbstractContextManager[Iterator[bytes]]:
        """The bytes from `start`, in pieces of at most a MiB, to the end or `length` of them. ABSENT: no object."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


Reader = Callable[[Any, Any, float], Any]
"""Answers one kind of query of a store within so many seconds: `read(store, query, timeout_s)`."""

READERS: Mapping[str, str] = {
    "stores.backups": "opscheck.systems.stores.probe.listing:read",
    "stores.ends": "opscheck.systems.stores.probe.ends:read",
    "stores.checksum": "opscheck.systems.stores.probe.checksum:read",
    "stores.content": "opscheck.systems.stores.probe.content:read",
    "stores.manifest": "opscheck.systems.stores.probe.manifest:read",
}
"""Readers of every store, by the name of the query; imported when used, since reading contents takes libraries."""


class StoreSession:
    """One store. Several queries may run at once."""

    def __init__(self, store: Store, readers: Mapping[str, str] = READERS) -> None:
        """`readers` name as `module:function` what answers each query."""
        self.store = store
        self._readers = readers

    def ask(self, query: Query[Any], timeout_s: float) -> Any:
        """The answer to `query`. Raises ProbeError."""
        if query.name not in self._readers:
            raise ProbeError(ProblemKind.UNSUPPORTED, f"{self.store.address} does not answer {query.name}")
        reader: Reader = resolve_name(self._readers[query.name])
        return reader(self.store, query, timeout_s)

    def close(self) -> None:
        """Close the store's connections."""
        self.store.close()
