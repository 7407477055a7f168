"""Reading a backup to its end: unpacked in a stream, or as a folder that is fetched to this machine."""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path, PurePosixPath

import msgspec

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.progress import working
from opscheck.core.units import format_bytes, format_duration
from opscheck.systems.stores.archives import pg_dump
from opscheck.systems.stores.archives.inspection import Inspected, Inspection, Judge, Unjudged, header_facts
from opscheck.systems.stores.archives.pg_dump import Header
from opscheck.systems.stores.archives.stream import Broken
from opscheck.systems.stores.archives.tar import CONTENTS, TarWalk
from opscheck.systems.stores.content import CUT_OFF, DAMAGED, EMPTY, FOREIGN, BackupQuery, Content, Flaw, ReadContent
from opscheck.systems.stores.probe.base import Entry, Store
from opscheck.systems.stores.probe.pg_restore import PgRestore, newest_program
from opscheck.systems.stores.probe.temporary_directory import TemporaryDirectory

_MARGIN, _MARGIN_AT_MOST_S = 0.03, 2.0


class Clock:
    """The time limit of a reading, and the bytes read so far."""

    def __init__(self, query: BackupQuery[Content], timeout_s: float) -> None:
        self._query = query
        self._began = time.monotonic()
        # Before the gatherer gives it up, so that the probe reports how far it came.
        self.deadline = self._began + timeout_s - min(_MARGIN_AT_MOST_S, timeout_s * _MARGIN)
        self.read = 0
        """The number of compressed bytes read so far."""

    def check(self) -> None:
        """Raise ProbeError when the time is over."""
        if time.monotonic() > self.deadline:
            so_far = f"{format_bytes(self.read)} of {format_bytes(self._query.size)}"
            took = format_duration(time.monotonic() - self._began)
            raise ProbeError(ProblemKind.LATE, f"{self._query.key}: {so_far} were read in {took}", "raise `within`")


def changed(query: BackupQuery[Content], read: int) -> ProbeError:
    """The error for more or fewer bytes than were listed."""
    text = f"{query.key} changed: it was listed with {query.size} bytes, and {read} were read"
    return ProbeError(ProblemKind.UNREADABLE, text, "is it still being written? Then write it under another name first")


def content_of(query: BackupQuery[Content], found: Inspected, *, read: int, whole: bool = True) -> Content:
    """The answer with the result of an inspection."""
    unjudged = found.unjudged
    return Content(
        size=query.size,
        read=read,
        whole=whole and found.judged,
        packed_with=tuple(found.packed_with),
        unpacked=found.unpacked if whole and found.judged and found.format != "directory" else None,
        format=found.format,
        header=found.header,
        sha256=found.sha256,
        judged_by=found.judged_by if found.judged else "",
        flaws=tuple(found.flaws),
        unjudged=unjudged.text if unjudged is not None else "",
        advice=unjudged.advice if unjudged is not None else "",
    )


def read_directory(store: Store, query: ReadContent, clock: Clock) -> Content:
    """The answer to `query`, whose key is that of a folder. Raises ProbeError."""
    entries = files_of(store, query.key, clock.deadline)
    if query.expects == "any":
        return _each_file(store, query, entries, clock)
    return _dump(store, query, entries, clock)


def files_of(store: Store, folder: str, deadline: float) -> list[Entry]:
    """The objects of the folder, without the empty ones that stand for folders. Raises ProbeError."""
    pages = store.pages(folder, deadline=deadline)
    return [entry for page in pages for entry in page if not (entry.key.endswith("/") and not entry.size)]


def nothing_in(files: int) -> Flaw:
    """The flaw of a folder with nothing but empty files."""
    return Flaw(trouble=EMPTY, text=f"nothing is in its {files} files")


def no_dump(files: int) -> Flaw:
    """The flaw of a folder without a table of contents."""
    return Flaw(trouble=FOREIGN, text=f"no dump in directory format: {CONTENTS} is not among its {files} files")


def _dump(store: Store, query: ReadContent, entries: list[Entry], clock: Clock) -> Content:
    found = Inspected(format="directory")
    if not any(entry.key == query.key + CONTENTS for entry in entries):
        found.flaws.append(no_dump(len(entries)))
        found.judged, found.format = True, "other"
        return content_of(query, found, read=0)
    with TemporaryDirectory(query.size) as kept:
        _fetch(store, query, entries, clock, kept.path)
        _run_pg_restore(kept, found, clock)
    return content_of(query, found, read=clock.read)


def _fetch(store: Store, query: ReadContent, entries: list[Entry], clock: Clock, to: Path) -> None:
    with working(f"fetching {query.key}", query.size) as advance:
        for entry in entries:
            file = to / _inside(query.key, entry.key)
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("wb") as out:
                for piece in _bytes_of(store, query, entry, clock):
                    out.write(piece)
                    advance(clock.read)


def _bytes_of(store: Store, query: ReadContent, entry: Entry, clock: Clock) -> Iterator[bytes]:
    """The bytes of one file: as many as were listed, so that no more disk is used than was free."""
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


def _run_pg_restore(kept: TemporaryDirectory, found: Inspected, clock: Clock) -> None:
    """Read the dump with pg_restore."""
    try:
        with (kept.path / CONTENTS).open("rb") as file:
            first = file.read(pg_dump.HEAD)
        header = pg_dump.header_of(first)
        found.header = header_facts("directory", first, header)
        options = ("--format=directory", str(kept.path))
        with PgRestore(newest_program(header), clock.deadline, options, group=kept.group) as program:
            program.end()
            found.judged, found.judged_by = True, program.name
    except Broken as error:
        text = f"{CONTENTS}: {error.text}" if found.header is None else error.text
        found.flaws.append(Flaw(trouble=CUT_OFF if error.cut_off else DAMAGED, text=text))
    except Unjudged as error:
        found.unjudged = error


def _each_file(store: Store, query: ReadContent, entries: list[Entry], clock: Clock) -> Content:
    """Decompress each of its files, whatever they are."""
    found, empty = Inspected(format="other", judged=True), True
    with working(f"reading {query.key}", query.size) as advance:
        for entry in entries:
            one = _anything(query, clock).run(_bytes_of(store, query, entry, clock))
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
    return content_of(query, found, read=clock.read)


def _anything(query: ReadContent, clock: Clock) -> Inspection:
    def no_judge(_format: str, _header: pg_dump.Header | None) -> Judge:
        raise NotImplementedError  # pragma: no cover - nothing is expected of what is in it

    limit = query.unpacked_limit
    return Inspection("any", no_judge, lambda: clock.read, clock.check, limit)


def read_content(store: Store, query: ReadContent, timeout_s: float) -> Content:
    """The answer to `query`. Raises ProbeError."""
    clock = Clock(query, timeout_s)
    if query.key.endswith("/"):
        return read_directory(store, query, clock)
    with ExitStack() as running:
        return _Reading(store, query, clock, running).content()


class _Reading:
    """The reading of one object."""

    def __init__(self, store: Store, query: ReadContent, clock: Clock, running: ExitStack) -> None:
        self._store, self._query, self._clock, self._running = store, query, clock, running
        self._sha256 = hashlib.sha256()
        self._at_end = False
        self._judged_by = ""

    def content(self) -> Content:
        """Its content."""
        query, clock = self._query, self._clock
        opened = self._store.open(query.key, query.version, deadline=clock.deadline)
        with opened as pieces, working(f"reading {query.key}", query.size) as advance:
            source = self._counted(pieces, advance)
            found = self._inspection().run(source)
            if query.hashed:  # also of what is broken: whether it was so when it was made
                for _ in source:
                    clock.check()
        if self._at_end and clock.read != query.size:
            raise changed(query, clock.read)
        found.sha256 = self._sha256.hexdigest() if query.hashed else ""
        found.judged_by = self._judged_by
        return content_of(query, found, read=clock.read)

    def _inspection(self) -> Inspection:
        return Inspection(
            expects=self._query.expects,
            judges=self._judges,
            read=lambda: self._clock.read,
            check=self._clock.check,
            unpacked_limit=self._query.unpacked_limit,
        )

    def _counted(self, pieces: Iterable[bytes], advance: Callable[[float], None]) -> Iterator[bytes]:
        for piece in pieces:
            self._clock.check()
            self._clock.read += len(piece)
            if self._query.hashed:
                self._sha256.update(piece)
            advance(self._clock.read)
            yield piece
        self._at_end = True

    def _judges(self, format_: str, header: Header | None) -> Judge:
        program = self._running.enter_context(PgRestore(newest_program(header), self._clock.deadline))
        self._judged_by = program.name
        return _Tar(program) if format_ == "tar" else program


class _Tar:
    """
    Judges a dump in tar format by its files too, not by pg_restore alone.

    pg_restore of PostgreSQL 16 to 18 never ends on a tar that is cut off within a file.
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
