"""Reading a backup that is a folder: fetched to this machine, where pg_restore can go through it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.progress import working
from opscheck.systems.stores.archives import postgres
from opscheck.systems.stores.archives.examining import Examination, Examined, Judge, Unjudged, header_facts
from opscheck.systems.stores.archives.stream import Broken
from opscheck.systems.stores.archives.tar import CONTENTS
from opscheck.systems.stores.probe.base import Entry, Store
from opscheck.systems.stores.probe.keeping import KeptFolder
from opscheck.systems.stores.probe.pg_restore import PgRestore, chosen
from opscheck.systems.stores.probe.telling import Clock, changed, content_of
from opscheck.systems.stores.queries.content import CUT_OFF, DAMAGED, EMPTY, FOREIGN, Content, Flaw, ReadContent


def read_directory(store: Store, query: ReadContent, clock: Clock) -> Content:
    """The answer to `query`, whose key is that of a folder. Raises ProbeError."""
    entries = files_of(store, query.key, clock.deadline)
    if query.expects == "any":
        return _each_file(store, query, entries, clock)
    return _dump(store, query, entries, clock)


def files_of(store: Store, folder: str, deadline: float) -> list[Entry]:
    """What is in the folder, without the empty objects that stand for folders. Raises ProbeError."""
    pages = store.pages(folder, deadline=deadline)
    return [entry for page in pages for entry in page if not (entry.key.endswith("/") and not entry.size)]


def nothing_in(files: int) -> Flaw:
    """What is wrong where there is nothing in any of them."""
    return Flaw(trouble=EMPTY, text=f"nothing is in its {files} files")


def no_dump(files: int) -> Flaw:
    """What is wrong where the list of contents is missing."""
    return Flaw(trouble=FOREIGN, text=f"no dump in directory format: {CONTENTS} is not among its {files} files")


def _dump(store: Store, query: ReadContent, entries: list[Entry], clock: Clock) -> Content:
    found = Examined(format="directory")
    if not any(entry.key == query.key + CONTENTS for entry in entries):
        found.flaws.append(no_dump(len(entries)))
        found.judged, found.format = True, "other"
        return content_of(query, found, read=0)
    with KeptFolder(query.size) as kept:
        _fetch(store, query, entries, clock, kept.path)
        _judge(kept, found, clock)
    return content_of(query, found, read=clock.read)


def _fetch(store: Store, query: ReadContent, entries: list[Entry], clock: Clock, to: Path) -> None:
    with working(f"fetching {query.key}", query.size) as tell:
        for entry in entries:
            file = to / _inside(query.key, entry.key)
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("wb") as out:
                for piece in _bytes_of(store, query, entry, clock):
                    out.write(piece)
                    tell(clock.read)


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


def _judge(kept: KeptFolder, found: Examined, clock: Clock) -> None:
    """Have pg_restore read it."""
    try:
        with (kept.path / CONTENTS).open("rb") as file:
            first = file.read(postgres.HEAD)
        header = postgres.header_of(first)
        found.header = header_facts("directory", first, header)
        options = ("--format=directory", str(kept.path))
        with PgRestore(chosen(header), clock.deadline, options, group=kept.group) as program:
            program.end()
            found.judged, found.judged_by = True, program.name
    except Broken as error:
        text = f"{CONTENTS}: {error.text}" if found.header is None else error.text
        found.flaws.append(Flaw(trouble=CUT_OFF if error.cut_off else DAMAGED, text=text))
    except Unjudged as error:
        found.unjudged = error


def _each_file(store: Store, query: ReadContent, entries: list[Entry], clock: Clock) -> Content:
    """Unpack each of its files, whatever they are."""
    found, empty = Examined(format="other", judged=True), True
    with working(f"reading {query.key}", query.size) as tell:
        for entry in entries:
            one = _anything(query, clock).examine(_bytes_of(store, query, entry, clock))
            tell(clock.read)
            found.unpacked += one.unpacked
            found.judged = found.judged and one.judged
            found.unjudged = found.unjudged or one.unjudged
            empty = empty and any(flaw.trouble == EMPTY for flaw in one.flaws)
            found.flaws += [
                replace_text(flaw, f"{entry.key}: {flaw.text}") for flaw in one.flaws if flaw.trouble != EMPTY
            ]
    if empty:
        found.flaws.append(nothing_in(len(entries)))
    return content_of(query, found, read=clock.read)


def _anything(query: ReadContent, clock: Clock) -> Examination:
    def no_judge(_format: str, _header: postgres.Header | None) -> Judge:
        raise NotImplementedError  # pragma: no cover - nothing is expected of what is in it

    limit = query.unpacked_limit
    return Examination("any", no_judge, lambda: clock.read, clock.check, limit)


def replace_text(flaw: Flaw, text: str) -> Flaw:
    """The same flaw in other words."""
    return Flaw(trouble=flaw.trouble, text=text, at=flaw.at)
