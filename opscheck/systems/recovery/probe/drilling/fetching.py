"""Fetching a backup from its store into the drill's folder, within the free disk space."""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.registry import Registry
from opscheck.core.units import format_bytes
from opscheck.systems.recovery.drill_record import ABSENT, BROKEN
from opscheck.systems.recovery.probe.drilling.dumps import PLAIN, Dump, pieces
from opscheck.systems.recovery.probe.drilling.errors import Failed
from opscheck.systems.stores.probe.base import Store, StoreSession
from opscheck.systems.stores.target import StoreTarget
from opscheck.transport.processes import give, unprivileged_user

_CONTACT_WITHIN_S = 30.0
_PACKED_GROWS, _PLAIN_GROWS = 8, 3
"""The growth of data by decompression and indexes."""
_SERVER_TAKES, _LOG_TAKES_AT_MOST = 150_000_000, 300_000_000
"""The size of a new server, and the largest size of its write-ahead log."""
_SPARE = 50_000_000


@dataclass(frozen=True)
class Part:
    """One object that a backup is made of."""

    key: str
    name: str
    size: int


@dataclass(frozen=True)
class Found:
    """A backup in its store."""

    parts: tuple[Part, ...]
    is_folder: bool

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(part.size for part in self.parts)


class Fetching:
    """One backup in its store. Every wait ends by `deadline` on the monotonic clock."""

    def __init__(self, target: StoreTarget, key: str, version: str, deadline: float) -> None:
        self._target, self._key, self._version, self._deadline = target, key, version, deadline

    def find(self) -> Found:
        """List the objects of the backup. Raises Failed where it is gone, and ProbeError."""
        session = (
            Registry.bundled().probe(self._target.kind).open_session(self._target, min(_CONTACT_WITHIN_S, self._left))
        )
        assert isinstance(session, StoreSession)  # noqa: S101 - every store's is one
        self._store: Store = session.store
        try:
            return self._found()
        except ProbeError as error:
            raise _of_the_backup(error, self._key) from None

    def fetch(self, found: Found, to: Path, advance: Callable[[float], None]) -> None:
        """Write it to a file, or to a folder where it is one. Raises Failed and ProbeError."""
        if found.is_folder:
            to.mkdir(mode=0o700)
        fetched = 0
        for part in found.parts:
            place = to / part.name if found.is_folder else to
            try:
                for size in self._copy(part, place):
                    fetched += size
                    advance(fetched)
            except ProbeError as error:
                raise _of_the_backup(error, part.key) from None
            if place.stat().st_size != part.size:
                text = (
                    f"{part.key} has {format_bytes(place.stat().st_size)}, of {format_bytes(part.size)} that are listed"
                )
                raise Failed(BROKEN, text)
        give(to, unprivileged_user())
        self._store.close()

    @property
    def _left(self) -> float:
        return max(0.1, self._deadline - time.monotonic())

    def _found(self) -> Found:
        if not self._key.endswith("/"):
            size = self._store.size(self._key, self._version, deadline=self._deadline)
            return Found((Part(self._key, "", size),), is_folder=False)
        pages = self._store.pages(self._key, deadline=self._deadline)
        inside = [(entry, entry.key.removeprefix(self._key)) for page in pages for entry in page]
        # The directory format has no folders in it, and a name is a name: not `..`, not a path.
        parts = tuple(Part(entry.key, name, entry.size) for entry, name in inside if name and "/" not in name)
        if not parts:
            raise Failed(ABSENT, f"there is nothing in {self._key} any more")
        return Found(tuple(part for part in parts if part.name not in {".", ".."}), is_folder=True)

    def _copy(self, part: Part, place: Path) -> Iterator[int]:
        with (
            place.open("xb") as file,
            self._store.open(part.key, self._version, deadline=self._deadline) as pieces,
        ):
            written = 0
            for piece in pieces:
                written += file.write(piece)
                yield len(piece)
                if written > part.size:  # no more disk is used than was free
                    return


def require_disk_space(found: Found, folder: Path, wanted: float | None, *, own_server: bool) -> None:
    """Raise ProbeError where the disk has no room for the drill, before it begins."""
    free = shutil.disk_usage(folder).free
    needed = wanted if wanted is not None else _estimated(found.size, own_server=own_server)
    if free < needed:
        raise ProbeError(
            ProblemKind.UNSUPPORTED,
            f"a drill of {format_bytes(found.size)} needs {format_bytes(needed)} of disk, and {folder.parent} has"
            f" {format_bytes(free)} free",
            "set TMPDIR to a place with more room, or say with `disk` how much it takes",
        )


def _estimated(size: int, *, own_server: bool) -> float:
    """The size of the backup, decompressed and restored; of another server's disk nothing is known."""
    if not own_server:
        return size * (1 + _PLAIN_GROWS) + _SPARE
    restored = size * _PACKED_GROWS
    return size + restored + _SERVER_TAKES + min(restored, _LOG_TAKES_AT_MOST)


def unpack_archive(dump: Dump, advance: Callable[[float], None]) -> Dump:
    """An archive of pg_dump that was packed as a whole, unpacked: pg_restore has to move in it. Else as it is."""
    if dump.packing is None or dump.format == PLAIN:
        return dump
    to, size = dump.path.with_name("unpacked"), 0
    with to.open("xb") as file:
        for piece in pieces(dump.path, dump.packing):
            size += file.write(piece)
            advance(size)
            if shutil.disk_usage(to.parent).free < _SPARE:
                text = f"there is no room to unpack it: {format_bytes(size)} so far"
                raise ProbeError(ProblemKind.UNSUPPORTED, text, "set TMPDIR to a place with more room")
    dump.path.unlink()
    give(to, unprivileged_user())
    return replace(dump, path=to, packing=None)


def _of_the_backup(error: ProbeError, key: str) -> Exception:
    if error.problem.kind is ProblemKind.ABSENT:
        return Failed(ABSENT, f"{key} is not there any more")
    return error
