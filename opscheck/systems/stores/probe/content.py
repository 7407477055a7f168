"""Reading a backup to its end: decompressed as a stream, or fetched to this machine when it is a folder."""

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import IO, Self, cast

import msgspec

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.progress import working
from opscheck.core.units import format_bytes
from opscheck.systems.stores.archives import pg_dump
from opscheck.systems.stores.archives.inspection import Clock, Inspection, Judge
from opscheck.systems.stores.archives.stream import Broken
from opscheck.systems.stores.archives.tar import CONTENTS, TarWalk
from opscheck.systems.stores.content import EMPTY, FOREIGN, BackupQuery, Content, DumpHeader, Flaw, ReadContent
from opscheck.systems.stores.listing import StoredBackup
from opscheck.systems.stores.probe.base import Store
from opscheck.systems.stores.probe.pg_restore import PgRestore, newest_program

PREFIX = "opscheck-content-"
_SPARE = 64 * 2**20
_REMOVING_TAKES_AT_MOST_S = 30.0
# Its input closes when this process ends, even by SIGKILL. Then it removes the folder and kills its process group.
_SCRIPT = "trap '' HUP INT TERM; cat > /dev/null; rm -rf -- \"$1\"; kill -KILL 0"


def read_content(store: Store, query: ReadContent, timeout_s: float) -> Content:
    """The answer to `query`. Raises ProbeError."""
    clock = Clock(query, timeout_s)
    if query.key.endswith("/"):
        entries = files_of(store, query.key, clock.deadline)
        read_folder = _each_file if query.expects == "any" else _dump
        return read_folder(store, query, entries, clock).content()
    with ExitStack() as running:
        return _Reading(store, query, clock, running).content()


def changed(query: BackupQuery[Content], read: int) -> ProbeError:
    """The error for more or fewer bytes than were listed."""
    text = f"{query.key} changed: it was listed with {query.size} bytes, and {read} were read"
    return ProbeError(ProblemKind.UNREADABLE, text, "is it still being written? Then write it under another name first")


def files_of(store: Store, folder: str, deadline: float) -> list[StoredBackup]:
    """The objects of the folder, without empty folder markers. Raises ProbeError."""
    pages = store.pages(folder, deadline=deadline)
    return [entry for page in pages for entry in page if not (entry.key.endswith("/") and not entry.size)]


def nothing_in(files: int) -> Flaw:
    """The flaw of a folder that contains only empty files."""
    return Flaw(trouble=EMPTY, text=f"nothing is in its {files} files")


def no_dump(files: int) -> Flaw:
    """The flaw of a folder without a table of contents."""
    return Flaw(trouble=FOREIGN, text=f"no dump in directory format: {CONTENTS} is not among its {files} files")


def header_in(contents: bytes) -> DumpHeader:
    """The header in the table of contents of a dump in directory format. Raises Broken."""
    try:
        return pg_dump.header_of(contents)
    except Broken as error:
        raise Broken(f"{CONTENTS}: {error.text}") from None


def _dump(store: Store, query: ReadContent, entries: list[StoredBackup], clock: Clock) -> Inspection:
    """Fetch a dump in directory format, and read it with pg_restore."""
    found = Inspection(clock, format="directory")
    if not any(entry.key == query.key + CONTENTS for entry in entries):
        found.flaws.append(no_dump(len(entries)))
        found.judged, found.format = True, "other"
        return found
    with TemporaryDirectory(query.size) as kept:
        _fetch(store, query, entries, clock, kept.path)
        with found.collecting():
            with (kept.path / CONTENTS).open("rb") as file:
                found.header = header_in(file.read(pg_dump.HEAD))
            options = ("--format=directory", str(kept.path))
            with PgRestore(newest_program(found.header), clock.deadline, options, group=kept.group) as program:
                program.end()
                found.judged, found.judged_by = True, program.name
    return found


def _fetch(store: Store, query: ReadContent, entries: list[StoredBackup], clock: Clock, to: Path) -> None:
    with working(f"fetching {query.key}", query.size) as advance:
        for entry in entries:
            file = to / _inside(query.key, entry.key)
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("wb") as out:
                for piece in _bytes_of(store, query, entry, clock):
                    out.write(piece)
                    advance(clock.read)


def _bytes_of(store: Store, query: ReadContent, entry: StoredBackup, clock: Clock) -> Iterator[bytes]:
    """The bytes of one file, at most as many as were listed: that much disk was free."""
    before = clock.read
    with store.open(entry.key, entry.version, deadline=clock.deadline) as pieces:
        for piece in pieces:
            clock.read += len(piece)
            clock.check()
            if clock.read - before > entry.size:
                break
            yield piece
    if clock.read - before != entry.size:
        raise changed(replace(query, key=entry.key, size=entry.size), clock.read - before)


def _inside(folder: str, key: str) -> PurePosixPath:
    path = PurePosixPath(key.removeprefix(folder))
    if path.is_absolute() or ".." in path.parts:
        raise ProbeError(ProblemKind.UNREADABLE, f"{key} lies outside {folder} as a file")
    return path


def _each_file(store: Store, query: ReadContent, entries: list[StoredBackup], clock: Clock) -> Inspection:
    """Decompress each of its files."""
    found, empty = Inspection(clock, format="other", judged=True), True
    with working(f"reading {query.key}", query.size) as advance:
        for entry in entries:
            one = Inspection(clock, unpacked_limit=query.unpacked_limit).run(_bytes_of(store, query, entry, clock))
            advance(clock.read)
            found.unpacked += one.unpacked
            found.judged = found.judged and one.judged
            found.unjudged = found.unjudged or one.unjudged
            empty = empty and any(flaw.trouble == EMPTY for flaw in one.flaws)
            found.flaws += [
                msgspec.structs.replace(flaw, text=f"{entry.key}: {flaw.text}")
                for flaw in one.flaws
                if flaw.trouble != EMPTY
            ]
    if empty:
        found.flaws.append(nothing_in(len(entries)))
    return found


class _Reading:
    """Reads one object."""

    def __init__(self, store: Store, query: ReadContent, clock: Clock, running: ExitStack) -> None:
        self._store, self._query, self._clock, self._running = store, query, clock, running
        self._found = Inspection(clock, self._judges, query.unpacked_limit)
        self._sha256 = hashlib.sha256()
        self._at_end = False

    def content(self) -> Content:
        """Its content."""
        query, clock = self._query, self._clock
        opened = self._store.open(query.key, query.version, deadline=clock.deadline)
        with opened as pieces, working(f"reading {query.key}", query.size) as advance:
            source = self._counted(pieces, advance)
            self._found.run(source)
            if query.hashed:  # of a broken backup too: the sum shows whether it was made like this
                for _ in source:
                    clock.check()
                self._found.sha256 = self._sha256.hexdigest()
        if self._at_end and clock.read != query.size:
            raise changed(query, clock.read)
        return self._found.content()

    def _counted(self, pieces: Iterable[bytes], advance: Callable[[float], None]) -> Iterator[bytes]:
        for piece in pieces:
            self._clock.check()
            self._clock.read += len(piece)
            if self._query.hashed:
                self._sha256.update(piece)
            advance(self._clock.read)
            yield piece
        self._at_end = True

    def _judges(self, format_: str, header: DumpHeader | None) -> Judge:
        program = self._running.enter_context(PgRestore(newest_program(header), self._clock.deadline))
        self._found.judged_by = program.name
        return _Tar(program) if format_ == "tar" else program


class _Tar:
    """
    Judges a dump in tar format by its files too, not only by pg_restore.

    pg_restore of PostgreSQL 16 to 18 hangs on a tar that is truncated within a file.
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


class TemporaryDirectory:
    """
    A private folder for `size` bytes, which is removed when this process ends, even by SIGKILL.

    Raises ProbeError when there is not enough disk space.
    """

    def __init__(self, size: int) -> None:
        place = tempfile.gettempdir()
        free = shutil.disk_usage(place).free
        if size + _SPARE > free:
            text = f"its {format_bytes(size)} must be fetched, and {place} has {format_bytes(free)} free"
            raise ProbeError(ProblemKind.UNSUPPORTED, text, "set TMPDIR to a folder with more room")
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._keeper = subprocess.Popen(  # noqa: S603 - our own script and path
            ["/bin/sh", "-c", _SCRIPT, "opscheck", self.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            process_group=0,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        cast("IO[bytes]", self._keeper.stdin).close()
        try:
            self._keeper.wait(_REMOVING_TAKES_AT_MOST_S)
        finally:
            # In case the keeper was killed.
            shutil.rmtree(self.path, ignore_errors=True)

    @property
    def group(self) -> int:
        """The process group that ends with the folder."""
        return self._keeper.pid
