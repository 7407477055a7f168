"""Reading a backup as a stream, through its packings, to what judges it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from opscheck.core.units import format_bytes
from opscheck.systems.stores.archives import plain, postgres
from opscheck.systems.stores.archives.kinds import HEAD, Kind, kind_of
from opscheck.systems.stores.archives.packings import unpacked
from opscheck.systems.stores.archives.stream import Broken, NeedsMore, Stream
from opscheck.systems.stores.archives.tar import BLOCK, TarWalk
from opscheck.systems.stores.queries.content import CUT_OFF, DAMAGED, EMPTY, FOREIGN, TOO_LARGE, DumpHeader, Flaw

MOST_PACKINGS = 3
"""A packing in a packing in a packing: nobody means more by it than to keep a reader busy."""

DUMPS = ("custom", "tar", "plain", "cluster", "directory")
_NOT_ENCRYPTED = "have a machine that holds the key check it before it is encrypted, or do a restore drill by hand"

_MORE_MEMORY = "check it where there is more memory, with the program that packed it"


class Unjudged(Exception):  # noqa: N818 - a statement reads better in a report than a noun
    """Nobody here can say whether it is whole."""

    def __init__(self, text: str, advice: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.advice = advice


class Judge(Protocol):
    """Takes what is unpacked, and says at its end whether it is whole."""

    def feed(self, piece: bytes) -> None:
        """Read on. Raises Broken, Unjudged."""
        ...

    def end(self) -> None:
        """Nothing comes any more. Raises Broken, Unjudged."""
        ...


@dataclass
class Examined:
    """What is known so far."""

    packed_with: list[str] = field(default_factory=list)
    unpacked: int = 0
    format: str = ""
    header: DumpHeader | None = None
    flaws: list[Flaw] = field(default_factory=list)
    unjudged: Unjudged | None = None
    judged: bool = False
    """Whether it was read and judged to its end."""
    judged_by: str = ""
    """The program that did, where one did."""
    sha256: str = ""


@dataclass(frozen=True)
class Examination:
    """How a backup is read."""

    expects: str
    """`dump`, `tar` or `any`."""
    judges: Callable[[str, postgres.Header | None], Judge]
    """Makes what judges `custom` and `tar` dumps. Raises Unjudged."""
    read: Callable[[], int]
    """How many packed bytes were read so far."""
    check: Callable[[], None]
    """Called often; raises what ends the reading."""
    unpacked_limit: int | None = None

    def examine(self, pieces: Iterable[bytes]) -> Examined:
        """Read all of it, or as far as it can be read."""
        found = Examined()
        try:
            self._through(Stream(pieces), found)
        except Broken as error:
            found.flaws.append(Flaw(trouble=CUT_OFF if error.cut_off else DAMAGED, text=error.text, at=self.read()))
        except NeedsMore as error:
            found.unjudged = Unjudged(str(error), _MORE_MEMORY)
        except Unjudged as error:
            found.unjudged = error
        return found

    def _through(self, stream: Stream, found: Examined) -> None:
        kind = kind_of(stream.peek(HEAD))
        while kind.packing is not None:
            found.packed_with.append(kind.packing.name)
            if len(found.packed_with) > MOST_PACKINGS:
                raise Unjudged(f"it is packed more than {MOST_PACKINGS} times")
            stream = Stream(unpacked(stream, kind.packing))
            kind = kind_of(stream.peek(HEAD))
        found.format = kind.format
        if kind.encrypted_by:
            raise Unjudged(f"it is encrypted with {kind.encrypted_by}", _NOT_ENCRYPTED)
        first = stream.peek(HEAD)
        header = archive_header(kind.format, first) if self.expects == "dump" else None
        found.header = header_facts(kind.format, first, header)
        if (flaw := unexpected(kind, self.expects)) is not None:
            found.flaws.append(flaw)
        self._judge(stream, self._judge_of(kind, header, found), found)
        if kind.format == "empty":
            found.flaws.insert(0, nothing_in_it(found.unpacked))

    def _judge_of(self, kind: Kind, header: postgres.Header | None, found: Examined) -> Judge:
        if self.expects == "dump" and kind.format in {"plain", "cluster"}:
            return plain.PlainScan(kind.format)
        if self.expects == "dump" and kind.format in {"custom", "tar"}:
            return self.judges(kind.format, header)
        if kind.format == "archive" and self.expects == "dump":
            return _NoDump(found)
        return TarWalk() if kind.format in {"tar", "archive"} and self.expects != "any" else _Anything()

    def _judge(self, stream: Iterable[bytes], judge: Judge, found: Examined) -> None:
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


def unexpected(kind: Kind, expects: str) -> Flaw | None:
    """What is wrong where it is something else than was expected; nothing in it is told otherwise."""
    if expects == "any" or kind.format == "empty" or (expects == "dump" and kind.format in {*DUMPS, "archive"}):
        return None
    if kind.complains:
        return Flaw(trouble=FOREIGN, text="an error message of pg_dump, and no dump")
    if expects == "dump":
        return Flaw(trouble=FOREIGN, text="of no format that pg_dump writes")
    return None if kind.format in {"tar", "archive"} else Flaw(trouble=FOREIGN, text="no tar")


def nothing_in_it(unpacked: int) -> Flaw:
    """There is nothing in it, or nothing but blanks."""
    return Flaw(trouble=EMPTY, text="nothing is in it" if not unpacked else "nothing but blanks is in it")


def archive_header(format_: str, first: bytes) -> postgres.Header | None:
    """The header of a `custom` archive, or of the list of contents that a `tar` begins with. Raises Broken."""
    if format_ not in {"custom", "tar"}:
        return None
    return postgres.header_of(first if format_ == "custom" else first[BLOCK:])


def header_facts(format_: str, first: bytes, header: postgres.Header | None) -> DumpHeader | None:
    """What a dump that begins so says of itself."""
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


def tar_of_dump() -> Unjudged:
    """What it means that a dump in directory format is in a tar."""
    return Unjudged(
        "it is a tar of a dump in directory format, whose files are not taken out of it",
        "say `holds: tar` to have it read to its end, or do restore drills with it by hand",
    )


class _NoDump(TarWalk):
    """Goes through a tar of files, which is no dump unless one in directory format is in it."""

    def __init__(self, found: Examined) -> None:
        super().__init__()
        self._found = found

    def end(self) -> None:
        super().end()
        if self.has_contents:
            raise tar_of_dump()
        self._found.flaws.append(Flaw(trouble=FOREIGN, text="a tar of other files"))


class _Anything:
    """Is pleased with whatever can be unpacked."""

    def feed(self, piece: bytes) -> None:
        pass

    def end(self) -> None:
        pass
