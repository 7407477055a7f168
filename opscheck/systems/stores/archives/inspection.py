"""Reading a backup as a stream, through its layers of compression, to the judge of its format."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, Self

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.units import format_bytes, format_duration
from opscheck.systems.stores.archives import pg_dump, plain
from opscheck.systems.stores.archives.compression import decompressed
from opscheck.systems.stores.archives.formats import HEAD, Kind, kind_of
from opscheck.systems.stores.archives.stream import Broken, NeedsMore, Stream
from opscheck.systems.stores.archives.tar import BLOCK, TarWalk
from opscheck.systems.stores.content import (
    CUT_OFF,
    DAMAGED,
    EMPTY,
    FOREIGN,
    TOO_LARGE,
    BackupQuery,
    Content,
    DumpHeader,
    Flaw,
)

MOST_LAYERS = 3
"""The maximum layers of compression; more are a decompression bomb."""

_MARGIN, _MARGIN_AT_MOST_S = 0.03, 2.0
_NOT_ENCRYPTED = "have a machine that holds the key check it before it is encrypted, or do a restore drill by hand"
_MORE_MEMORY = "check it where there is more memory, with the program that packed it"


class Clock:
    """The time limit of a reading, and the bytes read so far."""

    def __init__(self, query: BackupQuery[Content], timeout_s: float) -> None:
        self.query = query
        self._began = time.monotonic()
        # Ends before the gatherer's deadline, so that the probe can report the progress.
        self.deadline = self._began + timeout_s - min(_MARGIN_AT_MOST_S, timeout_s * _MARGIN)
        self.read = 0
        """The number of compressed bytes read so far."""

    def check(self) -> None:
        """Raise ProbeError after the deadline."""
        if time.monotonic() > self.deadline:
            so_far = f"{format_bytes(self.read)} of {format_bytes(self.query.size)}"
            took = format_duration(time.monotonic() - self._began)
            raise ProbeError(ProblemKind.LATE, f"{self.query.key}: {so_far} were read in {took}", "raise `within`")


class Unjudged(Exception):  # noqa: N818 - a statement reads better in a report than a noun
    """No program on this machine can judge the backup."""

    def __init__(self, text: str, advice: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.advice = advice


class Judge(Protocol):
    """Reads the decompressed bytes, and verifies that they are complete."""

    def feed(self, piece: bytes) -> None:
        """Read the next piece. Raises Broken, Unjudged."""
        ...

    def end(self) -> None:
        """Finish. Raises Broken, Unjudged."""
        ...


class _AnyContent:
    """Accepts all content that can be decompressed."""

    def feed(self, piece: bytes) -> None:
        pass

    def end(self) -> None:
        pass


def without_program(format_: str, _header: DumpHeader | None) -> Judge:
    """The judge of a `custom` or `tar` dump without pg_restore; it does not read the tables."""
    return TarWalk() if format_ == "tar" else _AnyContent()


@dataclass
class Inspection:
    """Reads and judges a backup, and collects its format, header and flaws."""

    clock: Clock
    judges: Callable[[str, DumpHeader | None], Judge] = without_program
    """Makes the judge of a `custom` or `tar` dump. Raises Unjudged."""
    unpacked_limit: int | None = None

    packed_with: list[str] = field(default_factory=list)
    unpacked: int = 0
    format: str = ""
    header: DumpHeader | None = None
    flaws: list[Flaw] = field(default_factory=list)
    unjudged: Unjudged | None = None
    judged: bool = False
    """True when it was read to its end and judged."""
    judged_by: str = ""
    """The program that judged it, such as pg_restore."""
    sha256: str = ""

    def run(self, pieces: Iterable[bytes]) -> Self:
        """Read all of it, or as much as possible."""
        with self.collecting(in_order=True):
            self._through(Stream(pieces))
        return self

    @contextmanager
    def collecting(self, *, in_order: bool = False) -> Iterator[None]:
        """Collect the exceptions about the content; `in_order` when it is read from its first byte on."""
        try:
            yield
        except Broken as error:
            trouble, at = CUT_OFF if error.cut_off else DAMAGED, self.clock.read if in_order else None
            self.flaws.append(Flaw(trouble=trouble, text=error.text, at=at))
        except NeedsMore as error:
            self.unjudged = Unjudged(str(error), _MORE_MEMORY if in_order else "")
        except Unjudged as error:
            self.unjudged = error

    def content(self, *, whole: bool = True) -> Content:
        """The answer to the query; not `whole` when only a part of the backup was read."""
        whole = whole and self.judged
        return Content(
            size=self.clock.query.size,
            read=self.clock.read,
            whole=whole,
            packed_with=tuple(self.packed_with),
            unpacked=self.unpacked if whole and self.format != "directory" else None,
            format=self.format,
            header=self.header,
            sha256=self.sha256,
            judged_by=self.judged_by if self.judged else "",
            flaws=tuple(self.flaws),
            unjudged=self.unjudged.text if self.unjudged is not None else "",
            advice=self.unjudged.advice if self.unjudged is not None else "",
        )

    def recognise(self, kind: Kind, first: bytes) -> None:
        """Read the header of a dump, and compare the format with the expected one. Raises Broken."""
        expects = self.clock.query.expects
        if kind.format in {"plain", "cluster"}:
            dumped_from, dumped_by = plain.versions(first)
            self.header = DumpHeader(dumped_from=dumped_from, dumped_by=dumped_by)
        elif kind.format in {"custom", "tar"} and expects == "dump":
            self.header = pg_dump.header_of(first if kind.format == "custom" else first[BLOCK:])
        if text := _unexpected_format(kind, expects):
            self.flaws.append(Flaw(trouble=FOREIGN, text=text))

    def _through(self, stream: Stream) -> None:
        kind = kind_of(stream.peek(HEAD))
        while kind.packing is not None:
            self.packed_with.append(kind.packing.name)
            if len(self.packed_with) > MOST_LAYERS:
                raise Unjudged(f"it is packed more than {MOST_LAYERS} times")
            stream = Stream(decompressed(stream, kind.packing))
            kind = kind_of(stream.peek(HEAD))
        self.format = kind.format
        if kind.encrypted_by:
            raise Unjudged(f"it is encrypted with {kind.encrypted_by}", _NOT_ENCRYPTED)
        self.recognise(kind, stream.peek(HEAD))
        self._judge(stream, self._judge_of(kind.format))
        if kind.format == "empty":
            text = "nothing is in it" if not self.unpacked else "nothing but blanks is in it"
            self.flaws.insert(0, Flaw(trouble=EMPTY, text=text))

    def _judge_of(self, format_: str) -> Judge:
        expects = self.clock.query.expects
        if expects == "dump" and format_ in {"plain", "cluster"}:
            return plain.PlainScan(format_)
        if expects == "dump" and format_ in {"custom", "tar"}:
            return self.judges(format_, self.header)
        if expects == "dump" and format_ == "archive":
            return _TarOfFiles(self.flaws)
        return TarWalk() if expects == "tar" and format_ in {"tar", "archive"} else _AnyContent()

    def _judge(self, stream: Iterable[bytes], judge: Judge) -> None:
        for piece in stream:
            self.clock.check()
            self.unpacked += len(piece)
            if self.unpacked_limit is not None and self.unpacked > self.unpacked_limit:
                text = f"it unpacks to more than {format_bytes(self.unpacked_limit)}"
                self.flaws.append(Flaw(trouble=TOO_LARGE, text=text, at=self.clock.read))
                return
            judge.feed(piece)
        judge.end()
        self.judged = True


def _unexpected_format(kind: Kind, expects: str) -> str:
    """The unexpected format of a backup; empty for an expected one, and for an empty backup."""
    expected = {"tar", "archive"} if expects == "tar" else {"custom", "tar", "plain", "cluster", "archive"}
    if expects == "any" or kind.format in {"empty", *expected}:
        return ""
    if kind.is_error_message:
        return "an error message of pg_dump, and no dump"
    return "of no format that pg_dump writes" if expects == "dump" else "no tar"


def tar_of_directory_dump() -> Unjudged:
    """The reason why a tar of a dump in directory format is not judged."""
    return Unjudged(
        "it is a tar of a dump in directory format, whose files are not taken out of it",
        "say `holds: tar` to have it read to its end, or do restore drills with it by hand",
    )


class _TarOfFiles(TarWalk):
    """Reads a tar of files, which is a dump only when it contains one in directory format."""

    def __init__(self, flaws: list[Flaw]) -> None:
        super().__init__()
        self._flaws = flaws

    def end(self) -> None:
        super().end()
        if self.has_contents:
            raise tar_of_directory_dump()
        self._flaws.append(Flaw(trouble=FOREIGN, text="a tar of other files"))
