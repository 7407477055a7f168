"""Reading a backup to its end: unpacked in a stream, and judged by what can read it."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack

from opscheck.core.progress import working
from opscheck.systems.stores.archives.examining import Examination, Judge
from opscheck.systems.stores.archives.postgres import Header
from opscheck.systems.stores.archives.tar import TarWalk
from opscheck.systems.stores.probe.base import Store
from opscheck.systems.stores.probe.directory import read_directory
from opscheck.systems.stores.probe.pg_restore import PgRestore, chosen
from opscheck.systems.stores.probe.telling import Clock, changed, content_of
from opscheck.systems.stores.queries.content import Content, ReadContent


def read(store: Store, query: ReadContent, timeout_s: float) -> Content:
    """The answer to `query`. Raises ProbeError."""
    clock = Clock(query, timeout_s)
    if query.key.endswith("/"):
        return read_directory(store, query, clock)
    with ExitStack() as running:
        return _Reading(store, query, clock, running).content()


class _Reading:
    """One object that is read."""

    def __init__(self, store: Store, query: ReadContent, clock: Clock, running: ExitStack) -> None:
        self._store, self._query, self._clock, self._running = store, query, clock, running
        self._sha256 = hashlib.sha256()
        self._at_end = False
        self._judged_by = ""

    def content(self) -> Content:
        """What is in it."""
        query, clock = self._query, self._clock
        opened = self._store.open(query.key, query.version, deadline=clock.deadline)
        with opened as pieces, working(f"reading {query.key}", query.size) as tell:
            source = self._counted(pieces, tell)
            found = self._examination().examine(source)
            if query.hashed:  # also of what is broken: whether it was so when it was made
                for _ in source:
                    clock.check()
        if self._at_end and clock.read != query.size:
            raise changed(query, clock.read)
        found.sha256 = self._sha256.hexdigest() if query.hashed else ""
        found.judged_by = self._judged_by
        return content_of(query, found, read=clock.read)

    def _examination(self) -> Examination:
        return Examination(
            expects=self._query.expects,
            judges=self._judges,
            read=lambda: self._clock.read,
            check=self._clock.check,
            unpacked_limit=self._query.unpacked_limit,
        )

    def _counted(self, pieces: Iterable[bytes], tell: Callable[[float], None]) -> Iterator[bytes]:
        for piece in pieces:
            self._clock.check()
            self._clock.read += len(piece)
            if self._query.hashed:
                self._sha256.update(piece)
            tell(self._clock.read)
            yield piece
        self._at_end = True

    def _judges(self, format_: str, header: Header | None) -> Judge:
        program = self._running.enter_context(PgRestore(chosen(header), self._clock.deadline))
        self._judged_by = program.name
        return _Tar(program) if format_ == "tar" else program


class _Tar:
    """
    A dump in tar format: walked through beside pg_restore.

    Those of PostgreSQL 16 to 18 never end on one that is cut off within a file.
    """

    def __init__(self, program: PgRestore) -> None:
        self._walk = TarWalk()
        self._program = program

    def feed(self, piece: bytes) -> None:
        self._walk.feed(piece)
        self._program.feed(piece)

    def end(self) -> None:
        self._walk.end()
        self._program.end()
