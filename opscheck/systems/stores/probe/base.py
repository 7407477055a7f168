"""The interface of a store, which lists and reads objects, and its session."""

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pkgutil import resolve_name
from typing import Any, Protocol

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.query import Query
from opscheck.systems.stores.listing import StoredBackup


class Store(Protocol):
    """A bucket or a folder. Every method raises ProbeError, and ends by `deadline` on the monotonic clock."""

    address: str
    """The store in reports: `s3://bucket`, `/mnt/backups`."""

    def pages(
        self, prefix: str, *, after: str = "", versions: bool = False, deadline: float
    ) -> Iterator[tuple[StoredBackup, ...]]:
        """The objects under `prefix`, sorted by key, from the first key after `after`; a page per request."""
        ...

    def size(self, key: str, version: str, *, deadline: float) -> int:
        """The size of the object in bytes. ABSENT when it does not exist."""
        ...

    def open(
        self, key: str, version: str, *, start: int = 0, length: int | None = None, deadline: float
    ) -> AbstractContextManager[Iterator[bytes]]:
        """The bytes from `start` to the end, or `length` of them, in pieces of at most a MiB. ABSENT: no object."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


_OWN_SHARE = 0.97


def deadline_in(timeout_s: float) -> float:
    """The deadline on the monotonic clock: a little early, so that the probe can report its progress."""
    return time.monotonic() + timeout_s * _OWN_SHARE


READERS: Mapping[str, str] = {
    "stores.backups": "opscheck.systems.stores.probe.listing:read",
    "stores.ends": "opscheck.systems.stores.probe.head_and_tail:read",
    "stores.checksum": "opscheck.systems.stores.probe.sidecar_files:read_checksum",
    "stores.content": "opscheck.systems.stores.probe.content:read_content",
    "stores.manifest": "opscheck.systems.stores.probe.sidecar_files:read_manifest",
}
"""
The function `read(store, query, timeout_s)` for all stores, by the name of the query.

Imported when used, since reading contents needs libraries.
"""


class StoreSession:
    """One store. Several queries may run at once."""

    def __init__(self, store: Store, readers: Mapping[str, str] = READERS) -> None:
        self.store = store
        self._readers = readers

    def ask(self, query: Query[Any], timeout_s: float) -> Any:
        """The answer to `query`. Raises ProbeError."""
        if query.name not in self._readers:
            raise ProbeError(ProblemKind.UNSUPPORTED, f"{self.store.address} does not answer {query.name}")
        return resolve_name(self._readers[query.name])(self.store, query, timeout_s)

    def close(self) -> None:
        self.store.close()
