"""A real primary that archives its WAL, or cannot."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opscheck.demo.postgres import PostgreSQL
from opscheck.transport.processes import wait_until
from tests.servers.replication import ask, write

_FULL = "archive-is-full"
# The archiver's working folder is the data folder.
_COMMAND = f"test ! -e {_FULL} && mkdir -p ../archive && cp %p ../archive/%f"
_WITHIN = 30


class Archiving:
    """A server whose archive may be full."""

    def __init__(self, server: PostgreSQL) -> None:
        self.server = server
        self.folder = server.data.parent / "archive"

    def fail(self) -> None:
        """From now on nothing can be archived."""
        (self.server.data / _FULL).touch()

    def work(self) -> None:
        """From now on everything can be archived."""
        (self.server.data / _FULL).unlink(missing_ok=True)

    def switch(self, segments: int = 1) -> None:
        """End a segment of WAL, so that there is one more to archive."""
        for _ in range(segments):
            write(self.server)
            ask(self.server, "SELECT pg_switch_wal()")

    def archive_one(self) -> None:
        """End a segment, and wait until it is archived."""
        self._switch_and_wait_for(0)

    def fail_once(self) -> None:
        """End a segment, and wait until archiving has failed."""
        self._switch_and_wait_for(1)

    def _switch_and_wait_for(self, counter: int) -> None:
        before = self._counters()[counter]
        self.switch()
        wait_until(lambda: self._counters()[counter] > before, _WITHIN, "the archiver does nothing")

    def _counters(self) -> tuple[int, int]:
        archived, failed = ask(self.server, "SELECT archived_count, failed_count FROM pg_stat_archiver")
        return archived, failed


@contextmanager
def archiving(
    programs: Path | None = None, *, works: bool = True, command: str = _COMMAND, **settings: str
) -> Iterator[Archiving]:
    """A server with archive_mode on. With `works=False` it has never archived anything, and has failed."""
    files = {} if works else {_FULL: ""}
    settings |= {"archive_mode": "on", "archive_command": command}
    with PostgreSQL(programs=programs, files=files, **settings) as server:
        archive = Archiving(server)
        (archive.archive_one if works else archive.fail_once)()
        yield archive
        archive.work()  # it would try for seconds before it ends
