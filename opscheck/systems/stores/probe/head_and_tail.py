"""The head and the tail of a backup: two requests for a backup of any size."""

from opscheck.systems.stores.archives import plain, tar
from opscheck.systems.stores.archives.compression import XZ, Compression, decompressed_head
from opscheck.systems.stores.archives.formats import HEAD, kind_of
from opscheck.systems.stores.archives.inspection import MOST_LAYERS, Clock, Inspection, Unjudged, tar_of_directory_dump
from opscheck.systems.stores.archives.stream import Broken
from opscheck.systems.stores.content import Content, ReadEnds
from opscheck.systems.stores.probe.base import Store
from opscheck.systems.stores.probe.content import changed, files_of, header_in, no_dump, nothing_in

END = 2**16
"""The number of bytes that are read at either end."""

_HEADS = (END, 4 * END, 16 * END, 72 * END)
"""Increased until a block is decompressed: those of zstd, bzip2 and lz4 have up to 128 KB, 900 KB and 4 MiB."""
_XZ_END = b"YZ"


def read(store: Store, query: ReadEnds, timeout_s: float) -> Content:
    """The answer to `query`. Raises ProbeError."""
    clock = Clock(query, timeout_s)
    found = Inspection(clock)
    if query.key.endswith("/"):
        _list_of_contents(store, query, found)
    elif query.size <= 2 * END:  # head and tail are the whole backup
        found.run([_some(store, query, clock, 0, query.size + 1)])
        return found.content(whole=found.format not in {"custom", "tar"})
    else:
        last = _some(store, query, clock, query.size - END, END)
        with found.collecting():
            packings, first = _beginning(store, query, clock)
            found.packed_with = [one.name for one in packings]
            _look_at_beginning(first, found)
            _look_at_end(last, packings, found)
    return found.content(whole=False)


def _some(store: Store, query: ReadEnds, clock: Clock, start: int, length: int) -> bytes:
    with store.open(query.key, query.version, start=start, length=length, deadline=clock.deadline) as pieces:
        found = b"".join(pieces)
    clock.read += len(found)
    if len(found) != min(length, query.size - start):
        raise changed(query, start + len(found))
    return found


def _beginning(store: Store, query: ReadEnds, clock: Clock) -> tuple[list[Compression], bytes]:
    """Its layers of compression, from outside in, and the first decompressed bytes."""
    first = b""
    for length in _HEADS:
        first += _some(store, query, clock, len(first), min(length, query.size) - len(first))
        packings, inner = _unpacked(first)
        if inner or len(first) == query.size:
            return packings, inner
    names = " in ".join(one.name for one in reversed(packings))
    raise Unjudged(f"the first {len(first)} bytes of this {names} unpack to nothing", "read it with `depth: whole`")


def _unpacked(first: bytes) -> tuple[list[Compression], bytes]:
    packings: list[Compression] = []
    while len(packings) < MOST_LAYERS and (packing := kind_of(first).packing) is not None:
        packings.append(packing)
        first = decompressed_head(first, packing, HEAD)
    return packings, first


def _look_at_beginning(first: bytes, found: Inspection) -> None:
    kind = kind_of(first)
    found.format = kind.format
    if kind.encrypted_by:
        raise Unjudged(f"it is encrypted with {kind.encrypted_by}, so its content cannot be checked")
    if kind.format == "archive" and found.clock.query.expects == "dump":
        raise _which_tar(first)
    found.recognise(kind, first)


def _which_tar(first: bytes) -> Unjudged:
    """The reason why a tar of files is not judged by its first ones."""
    walk = tar.TarWalk()
    walk.feed(first)
    if walk.has_contents:
        return tar_of_directory_dump()
    text = f"it is a tar of files, and none of the first {walk.files} is the list of contents of a dump"
    return Unjudged(text, "read it with `depth: whole`")


def _look_at_end(last: bytes, packings: list[Compression], found: Inspection) -> None:
    """Judge the tail without the bytes before it."""
    expects = found.clock.query.expects
    if packings == [XZ] and not last.rstrip(b"\0").endswith(_XZ_END):
        raise Broken("xz data ends before its end", cut_off=True)
    if packings:
        return
    if expects == "dump" and found.format in {"plain", "cluster"} and not plain.has_footer(last, found.format):
        raise plain.without_footer(found.format)
    if expects != "any" and found.format in {"tar", "archive"} and not last.endswith(tar.END):
        raise Broken("the tar ends without its end", cut_off=True)


def _list_of_contents(store: Store, query: ReadEnds, found: Inspection) -> None:
    """Read the table of contents of a dump in directory format."""
    entries = files_of(store, query.key, found.clock.deadline)
    toc = next((entry for entry in entries if entry.key == query.key + tar.CONTENTS), None)
    found.format = "directory" if toc is not None and query.expects != "any" else "other"
    if query.expects == "any":
        found.flaws += [] if any(entry.size for entry in entries) else [nothing_in(len(entries))]
    elif toc is None:
        found.flaws.append(no_dump(len(entries)))
    else:
        one = ReadEnds(query.target, toc.key, toc.size, toc.version)
        first = _some(store, one, found.clock, 0, min(END, toc.size))
        with found.collecting():
            found.header = header_in(first)
