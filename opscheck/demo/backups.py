"""The backups in the demo's bucket: those of the last week, and new ones while the demo runs."""

import hashlib
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from opscheck.demo.closing import Closing
from opscheck.demo.dumps import EMPTY_GZIP
from opscheck.demo.s3 import S3
from opscheck.transport.processes import ServerFailed

DATABASE = "database/%Y/%m/%d/backup-%Y%m%d-%H%M%S.dump"
CONFIGURATION = "config/backup-%Y%m%d-%H%M%S.tar.gz"
LOGS = "logs/%Y/%m/%d/application-%Y%m%d-%H%M%S.log.gz"

_UPLOADED_AFTER = timedelta(seconds=20)
_MISSING = timedelta(hours=5)
_TRUNCATED_TO = 0.6
_STOPPING_TAKES_AT_MOST = 5.0


@dataclass(frozen=True)
class Backup:
    """One backup: the template of its name, its content, and its start."""

    template: str
    content: bytes
    at: datetime

    @property
    def key(self) -> str:
        """Its key in the bucket."""
        return self.at.astimezone(UTC).strftime(self.template)

    @property
    def checksum(self) -> bytes:
        """Its line in the format of sha256sum."""
        return f"{hashlib.sha256(self.content).hexdigest()}  {self.key.rpartition('/')[2]}\n".encode()


class Backups(Closing):
    """
    The backups, each with a checksum file, and a new one after each `every`, until `close`.

    backups: the oldest first. another: makes a new one; after ServerFailed, the next one is tried.
    """

    def __init__(
        self, store: S3, backups: Iterable[Backup], *, another: Callable[[], Backup], every: timedelta
    ) -> None:
        self._store = store
        self._another = another
        self._every = every.total_seconds()
        self._lock = threading.Lock()
        self._made: list[Backup] = []
        self._lost: list[Backup] = []
        self._closing = threading.Event()
        for backup in backups:
            self._keep(backup)
        self._thread = threading.Thread(target=self._go_on, daemon=True)
        self._thread.start()

    def fail(self) -> None:
        """
        Behave like a script that ignores errors.

        The database has no backup for hours, and its last one is truncated. The configuration's last one is an
        empty gzip, with a matching checksum.
        """
        with self._lock:
            if self._lost:
                return
            since = datetime.now(UTC) - _MISSING
            dumps, configurations = self._of(DATABASE), self._of(CONFIGURATION)
            late, last = [one for one in dumps if one.at > since], [one for one in dumps if one.at <= since][-1]
            self._lost = [*late, last, configurations[-1]]
            for backup in late:
                self._delete(backup)
            self._put(last.key, last.content[: int(len(last.content) * _TRUNCATED_TO)], last.at)
            self._upload(replace(configurations[-1], content=EMPTY_GZIP))

    def recover(self) -> None:
        """Undo `fail`: every backup exists and is complete."""
        with self._lock:
            for backup in self._lost:
                self._upload(backup)
            self._lost = []

    def close(self) -> None:
        """Stop making backups. May be called twice."""
        self._closing.set()
        self._thread.join(_STOPPING_TAKES_AT_MOST)

    def _go_on(self) -> None:
        while not self._closing.wait(self._every):
            with self._lock:
                if not self._lost:
                    self._try()

    def _try(self) -> None:
        try:
            self._keep(self._another())
        except ServerFailed:  # a server is stopped, as the instructions of --hold suggest
            return

    def _keep(self, backup: Backup) -> None:
        self._upload(backup)
        self._made.append(backup)

    def _of(self, template: str) -> list[Backup]:
        return [one for one in self._made if one.template == template]

    def _upload(self, backup: Backup) -> None:
        self._put(backup.key, backup.content, backup.at)
        self._put(f"{backup.key}.sha256", backup.checksum, backup.at)

    def _put(self, key: str, content: bytes, at: datetime) -> None:
        written = min(at + _UPLOADED_AFTER, datetime.now(UTC))
        self._store.put(f"{self._store.bucket}/{key}", content, modified=written)

    def _delete(self, backup: Backup) -> None:
        for key in (backup.key, f"{backup.key}.sha256"):
            self._store.delete(f"{self._store.bucket}/{key}")
