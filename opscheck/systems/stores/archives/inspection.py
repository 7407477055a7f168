"""Reading a backup as a stream, through its layers of compression, to the judge of its format."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from opscheck.core.units import format_bytes
from opscheck.systems.stores.archives import pg_dump, plain
from opscheck.systems.stores.archives.compression import decompressed
from opscheck.systems.stores.archives.formats import HEAD, Kind, kind_of
from opscheck.systems.stores.archives.stream import Broken, NeedsMore, Stream
from opscheck.systems.stores.archives.tar import BLOCK, TarWalk
from opscheck.systems.stores.content import CUT_OFF, DAMAGED, EMPTY, FOREIGN, TOO_LARGE, DumpHeader, Flaw

MOST_LAYERS = 3
"""How often a backup may be compressed; more layers are a decompression bomb."""

DUMPS = ("custom", "tar", "plain", "cluster", "directory")
_NOT_ENCRYPTED = "have a machine that holds the key check it before it is encrypted, or do a restore drill by hand"

_MORE_MEMORY = "check it where there is more memory, with the program that packed it"


class Unjudged(Exception):  # noqa: N818 - a statement reads better in a report than a noun
    """No program on this machine can judge the backup."""

    def __init__(self, text: str, advice: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.advice = advice


class Judge(Protocol):
    """Reads the decompressed bytes, and finds out whether they are complete."""

    def feed(self, piece: bytes) -> None:
        """Read the next piece. Raises Broken, Unjudged."""
        ...

    def end(self) -> None:
        """Finish. Raises Broken, Unjudged."""
        ...


@dataclass
class Inspected:
    """The result of an inspection."""

    packed_with: list[str] = field(default_factory=list)
    unpacked: int = 0
    format: str = ""
    header: DumpHeader | None = None
    flaws: list[Flaw] = field(default_factory=list)
    unjudged: Unjudged | None = None
    judged: bool = False
    """Whether it was read to its end and judged."""
    judged_by: str = ""
    """The program that judged it, such as pg_restore."""
    sha256: str = ""


@dataclass(frozen=True)
class Inspection:
    """How to read and judge a backup."""

    expects: str
    """`dump`, `tar` or `any`."""
    judges: Callable[[str, pg_dump.Header | None], Judge]
    """Makes the judge of a `custom` or `tar` dump. Raises Unjudged."""
    read: Callable[[], int]
    """The number of compressed bytes read so far."""
    check: Callable[[], None]
    """Called for each piece; raises an error to stop reading."""
    unpacked_limit: int | None = None

    def run(self, pieces: Iterable[bytes]) -> Inspected:
        """Read all of it, or as much as possible."""
        found = Inspected()
        try:
            self._through(Stream(pieces), found)
        except Broken as error:
            found.flaws.append(Flaw(trouble=CUT_OFF if error.cut_off else DAMAGED, text=error.text, at=self.read()))
        except NeedsMore as error:
            found.unjudged = Unjudged(str(error), _MORE_MEMORY)
        except Unjudged as error:
            found.unjudged = error
        return found

    def _through(self, stream: Stream, found: Inspected) -> None:
        kind = kind_of(stream.peek(HEAD))
        while kind.packing is not None:
            found.packed_with.append(kind.packing.name)
            if len(found.packed_with) > MOST_LAYERS:
                raise Unjudged(f"it is packed more than {MOST_LAYERS} times")
            stream = Stream(decompressed(stream, kind.packing))
            kind = kind_of(stream.peek(HEAD))
        found.format = kind.format
        if kind.encrypted_by:
            raise Unjudged(f"it is encrypted with {kind.encrypted_by}", _NOT_ENCRYPTED)
        first = stream.peek(HEAD)
        header = archive_header(kind.format, first) if self.expects == "dump" else None
        found.header = header_facts(kind.format, first, header)
        if (flaw := unexpected_format(kind, self.expects)) is not None:
            found.flaws.append(flaw)
        self._judge(stream, self._judge_of(kind, header, found), found)
        if kind.format == "empty":
            found.flaws.insert(0, no_content(found.unpacked))

    def _judge_of(self, kind: Kind, header: pg_dump.Header | None, found: Inspected) -> Judge:
        if self.expects == "dump" and kind.format in {"plain", "cluster"}:
            return plain.PlainScan(kind.format)
        if self.expects == "dump" and kind.format in {"custom", "tar"}:
            return self.judges(kind.format, header)
        if kind.format == "archive" and self.expects == "dump":
            return _TarOfFiles(found)
        return TarWalk() if kind.format in {"tar", "archive"} and self.expects != "any" else _AnyContent()

    def _judge(self, stream: Iterable[bytes], judge: Judge, found: Inspected) -> None:
        for piece in stream:
            self.check()
            found.unpacked += len(piece)
            if self.unpacked_limit is not None and found.unpacked > self.unpacked_limit:
                text = f"it unpacks to more than {format_bytes(self.unpacked_limit)}"
                found.flaws.append(Flaw(trouble=TOO_LARGE, text=text, at=self.read()))
                return
            judge.feed(piece)
        judge.end()
        found.judged = True


def unexpected_format(kind: Kind, expects: str) -> Flaw | None:
    """The flaw of a backup in another format than expected; None for an empty one too."""
    if expects == "any" or kind.format == "empty" or (expects == "dump" and kind.format in {*DUMPS, "archive"}):
        return None
    if kind.is_error_message:
        return Flaw(trouble=FOREIGN, text="an error message of pg_dump, and no dump")
    if expects == "dump":
        return Flaw(trouble=FOREIGN, text="of no format that pg_dump writes")
    return None if kind.format in {"tar", "archive"} else Flaw(trouble=FOREIGN, text="no tar")


def no_content(unpacked: int) -> Flaw:
    """The flaw of an empty backup, or of one with nothing but blanks."""
    return Flaw(trouble=EMPTY, text="nothing is in it" if not unpacked else "nothing but blanks is in it")


def archive_header(format_: str, first: bytes) -> pg_dump.Header | None:
    """The header of a `custom` archive, or of the table of contents in a `tar`. Raises Broken."""
    if format_ not in {"custom", "tar"}:
        return None
    return pg_dump.header_of(first if format_ == "custom" else first[BLOCK:])


def header_facts(format_: str, first: bytes, header: pg_dump.Header | None) -> DumpHeader | None:
    """The origin of a dump with this head."""
    if header is not None:
        return DumpHeader(
            archive_version=".".join(map(str, header.version)),
            made_at=header.made_at,
            database=header.database,
            dumped_from=header.dumped_from,
            dumped_by=header.dumped_by,
        )
    if format_ in {"plain", "cluster"}:
        dumped_from, dumped_by = plain.versions(first)
        return DumpHeader(dumped_from=dumped_from, dumped_by=dumped_by)
    return None


def tar_of_directory_dump() -> Unjudged:
    """The reason why a tar with a dump in directory format is not judged."""
    return Unjudged(
        "it is a tar of a dump in directory format, whose files are not taken out of it",
        "say `holds: tar` to have it read to its end, or do restore drills with it by hand",
    )


class _TarOfFiles(TarWalk):
    """Reads a tar of files, which is not a dump unless it contains one in directory format."""

    def __init__(self, found: Inspected) -> None:
        super().__init__()
        self._found = found

    def end(self) -> None:
        super().end()
        if self.has_contents:
            raise tar_of_directory_dump()
        self._found.flaws.append(Flaw(trouble=FOREIGN, text="a tar of other files"))


class _AnyContent:
    """Accepts all content that can be decompressed."""

    def feed(self, piece: bytes) -> None:
        pass

    def end(self) -> None:
        pass
