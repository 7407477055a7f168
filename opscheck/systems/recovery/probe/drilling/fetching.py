"""Fetching a backup from its store into the drill's folder, within the free disk space."""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.registry import Registry
from opscheck.core.units import format_bytes
from opscheck.systems.recovery.drill_record import ABSENT, BROKEN
from opscheck.systems.recovery.probe.drilling.dumps import PLAIN, Dump, pieces
from opscheck.systems.recovery.probe.drilling.errors import Failed, unsupported
from opscheck.systems.stores.probe.base import Store, StoreSession
from opscheck.systems.stores.target import StoreTarget
from opscheck.transport.processes import give, unprivileged_user

_CONTACT_WITHIN_S = 30.0
_PACKED_GROWS, _PLAIN_GROWS = 8, 3
"""The factors by which data grows by decompression and indexes."""
_SERVER_TAKES, _LOG_TAKES_AT_MOST = 150_000_000, 300_000_000
"""The size of a new server, and the largest size of its write-ahead log."""
_SPARE = 50_000_000


class Fetching:
    """One backup in its store. Every wait ends by `deadline` on the monotonic clock."""

    def __init__(self, target: StoreTarget, key: str, version: str, deadline: float) -> None:
        self._target, self._key, self._version, self._deadline = target, key, version, deadline
        self._is_folder = key.endswith("/")

    def find(self) -> Mapping[str, int]:
        """The size of each object of the backup by its key. Raises Failed when it was deleted, and ProbeError."""
        left = max(0.1, self._deadline - time.monotonic())
        probe = Registry.bundled().probe(self._target.kind)
        session = probe.open_session(self._target, min(_CONTACT_WITHIN_S, left))
        assert isinstance(session, StoreSession)  # noqa: S101 - every store has one
        self._store: Store = session.store
        try:
            if not self._is_folder:
                return {self._key: self._store.size(self._key, self._version, deadline=self._deadline)}
            pages = self._store.pages(self._key, deadline=self._deadline)
            inside = {entry.key: entry.size for page in pages for entry in page if entry.key != self._key}
        except ProbeError as error:
            raise _of_the_backup(error, self._key) from None
        # The directory format contains no folders, and its names must not be paths.
        sizes = {key: size for key, size in inside.items() if "/" not in key.removeprefix(self._key)}
        if not sizes:
            raise Failed(ABSENT, f"there is nothing in {self._key} any more")
        return {key: size for key, size in sizes.items() if key.removeprefix(self._key) not in {".", ".."}}

    def fetch(self, sizes: Mapping[str, int], to: Path, advance: Callable[[float], None]) -> None:
        """Write it to a file, or to a folder when it is a folder. Raises Failed and ProbeError."""
        if self._is_folder:
            to.mkdir(mode=0o700)
        fetched = 0
        for key, size in sizes.items():
            place = to / key.removeprefix(self._key) if self._is_folder else to
            try:
                for written in self._copy(key, place, size):
                    fetched += written
                    advance(fetched)
            except ProbeError as error:
                raise _of_the_backup(error, key) from None
            if (there := place.stat().st_size) != size:
                raise Failed(BROKEN, f"{key} has {format_bytes(there)}, of {format_bytes(size)} that are listed")
        give(to, unprivileged_user())
        self._store.close()

    def _copy(self, key: str, place: Path, size: int) -> Iterator[int]:
        opened = self._store.open(key, self._version, deadline=self._deadline)
        with place.open("xb") as file, opened as pieces:
            written = 0
            for piece in pieces:
                written += file.write(piece)
                yield len(piece)
                if written > size:  # only that much disk was free
                    return


def require_disk_space(size: int, folder: Path, wanted: float | None, *, own_server: bool) -> None:
    """Raise ProbeError when the disk has not enough free space for the drill, before it begins."""
    free = shutil.disk_usage(folder).free
    needed = wanted if wanted is not None else _estimated(size, own_server=own_server)
    if free < needed:
        raise unsupported(
            f"a drill of {format_bytes(size)} needs {format_bytes(needed)} of disk, and {folder.parent} has"
            f" {format_bytes(free)} free",
            "set TMPDIR to a place with more room, or say with `disk` how much it takes",
        )


def _estimated(size: int, *, own_server: bool) -> float:
    """The size of the backup, decompressed and restored; the disk of another server is unknown."""
    if not own_server:
        return size * (1 + _PLAIN_GROWS) + _SPARE
    restored = size * _PACKED_GROWS
    return size + restored + _SERVER_TAKES + min(restored, _LOG_TAKES_AT_MOST)


def unpack_archive(dump: Dump, advance: Callable[[float], None]) -> Dump:
    """The dump; an archive that is compressed as a whole is decompressed, since pg_restore needs random access."""
    if dump.packing is None or dump.format == PLAIN:
        return dump
    to, size = dump.path.with_name("unpacked"), 0
    with to.open("xb") as file:
        for piece in pieces(dump.path, dump.packing):
            size += file.write(piece)
            advance(size)
            if shutil.disk_usage(to.parent).free < _SPARE:
                text = f"there is no room to unpack it: {format_bytes(size)} so far"
                raise unsupported(text, "set TMPDIR to a place with more room")
    dump.path.unlink()
    give(to, unprivileged_user())
    return replace(dump, path=to, packing=None)


def _of_the_backup(error: ProbeError, key: str) -> Exception:
    if error.problem.kind is ProblemKind.ABSENT:
        return Failed(ABSENT, f"{key} is not there any more")
    return error
