"""The probe of folders on this machine, also mounted ones."""

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.stores.listing import StoredBackup
from opscheck.systems.stores.probe.base import StoreSession
from opscheck.systems.stores.target import FolderTarget

_PAGE = 1000
_PIECE = 2**20
_NOWHERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}
"""The errors for a deleted file and for a broken link."""


def open_session(target: FolderTarget, timeout_s: float) -> StoreSession:  # noqa: ARG001 - the gatherer keeps the time
    """Check that the folder exists. Raises ProbeError with `target_down`."""
    store = FolderStore(target.path)
    store.require_access()
    return StoreSession(store)


class FolderStore:
    """The files of one folder and its subfolders, without links to the outside."""

    def __init__(self, path: str) -> None:
        self.address = path
        self._root = Path(path)

    def require_access(self) -> None:
        """Check that it is a folder and can be listed. Raises ProbeError with `target_down`."""
        try:
            with os.scandir(self._root) as entries:
                next(entries, None)
        except OSError as error:
            raise _refused(error, str(self._root), target_down=True) from error

    def pages(
        self, prefix: str, *, after: str = "", versions: bool = False, deadline: float
    ) -> Iterator[tuple[StoredBackup, ...]]:
        if versions:
            text = f"the files of {self.address} have no versions"
            raise ProbeError(ProblemKind.UNSUPPORTED, text, "leave `versions` out: a folder keeps each file once")
        entries = self._below("", prefix, after, deadline)
        while page := tuple(islice(entries, _PAGE)):
            yield page

    def size(self, key: str, version: str, *, deadline: float) -> int:  # noqa: ARG002 - as for every store
        try:
            return self._file(key).stat().st_size
        except OSError as error:
            raise _refused(error, key) from error

    @contextmanager
    def open(
        self,
        key: str,
        version: str,  # noqa: ARG002 - a file has none
        *,
        start: int = 0,
        length: int | None = None,
        deadline: float,
    ) -> Iterator[Iterator[bytes]]:
        try:
            # Opening a pipe in place of a file would block this thread.
            descriptor = os.open(self._file(key), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise _refused(error, key) from error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _absent(key)
            yield _pieces(descriptor, key, start, length, deadline)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Nothing to close."""

    def _below(self, folder: str, prefix: str, after: str, deadline: float) -> Iterator[StoredBackup]:
        """The files below `folder`, which is empty or ends with a slash, sorted by key."""
        for name, entry in self._sorted(folder):
            if time.monotonic() > deadline:
                raise _late(f"{self.address} was not listed to its end in time")
            key = folder + name
            if name.endswith("/"):
                has_prefix = key.startswith(prefix) or prefix.startswith(key)
                if has_prefix and (key >= after or after.startswith(key)):
                    yield from self._below(key, prefix, after, deadline)
            elif key.startswith(prefix) and key > after and (found := self._entry(key, entry)) is not None:
                yield found

    def _sorted(self, folder: str) -> list[tuple[str, "os.DirEntry[str]"]]:
        """Its entries by name, folders with a slash: so keys sort as in a bucket."""
        path = self._root / folder
        try:
            with os.scandir(path) as entries:
                return sorted(
                    ((entry.name + ("/" if entry.is_dir(follow_symlinks=False) else ""), entry) for entry in entries),
                    key=lambda found: found[0],
                )
        except OSError as error:
            gone = isinstance(error, FileNotFoundError)
            if gone and folder:  # deleted meanwhile, as by rotation
                return []
            raise _refused(error, str(path), target_down=gone) from error

    def _entry(self, key: str, entry: "os.DirEntry[str]") -> StoredBackup | None:
        """None unless it is an existing file inside the folder. Raises ProbeError."""
        try:
            if entry.is_symlink() and not self._is_inside(Path(entry.path)):
                return None
            found = entry.stat()
        except OSError as error:
            if error.errno in _NOWHERE:
                return None
            raise _refused(error, key) from error
        if not stat.S_ISREG(found.st_mode):
            return None
        # Reports can contain only UTF-8.
        name = os.fsencode(key).decode("utf-8", "replace")
        return StoredBackup(key=name, size=found.st_size, modified=datetime.fromtimestamp(found.st_mtime, UTC))

    def _file(self, key: str) -> Path:
        path = self._root / key
        if not self._is_inside(path) or not path.is_file():
            raise _absent(key)
        return path

    def _is_inside(self, path: Path) -> bool:
        return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self._root))


def _pieces(descriptor: int, key: str, start: int, length: int | None, deadline: float) -> Iterator[bytes]:
    place, end = start, None if length is None else start + length
    while end is None or place < end:
        if time.monotonic() > deadline:
            raise _late(f"{key} was not read to its end in time")
        try:
            piece = os.pread(descriptor, _PIECE if end is None else min(_PIECE, end - place), place)
        except OSError as error:
            raise _refused(error, key) from error
        if not piece:
            return
        place += len(piece)
        yield piece


def _late(text: str) -> ProbeError:
    return ProbeError(ProblemKind.LATE, text, "does a network filesystem hang? Else raise the timeout")


def _absent(key: str) -> ProbeError:
    return ProbeError(ProblemKind.ABSENT, f"there is no file {key}")


def _refused(error: OSError, what: str, *, target_down: bool = False) -> ProbeError:
    if isinstance(error, FileNotFoundError):
        if not target_down:
            return _absent(what)
        return ProbeError(ProblemKind.UNREACHABLE, f"there is no folder {what}", "is it mounted?", target_down=True)
    if isinstance(error, NotADirectoryError):
        text = f"{what} is not a folder"
        return ProbeError(ProblemKind.UNSUPPORTED, text, "name the folder that holds it", target_down=target_down)
    if isinstance(error, PermissionError):
        text = f"{what} may not be read by the user that opscheck runs as"
        advice = f"let uid {os.geteuid()} read it and search the folders above it"
        return ProbeError(ProblemKind.DENIED, text, advice, target_down=target_down)
    if error.errno in {errno.ESTALE, errno.EIO, errno.ENOTCONN, errno.EHOSTDOWN, errno.ETIMEDOUT}:
        text = f"{what} does not answer: {error.strerror}"
        return ProbeError(ProblemKind.UNREACHABLE, text, "mount it again", target_down=True)
    return ProbeError(ProblemKind.UNREADABLE, f"{what} cannot be read: {error.strerror}", target_down=target_down)
