"""A real Barman, whose catalogue is written by its own code; and real backups by it, where pg_basebackup is there."""

import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from opscheck.demo.postgres import PostgreSQL
from tests.servers.cache import NotThere
from tests.servers.fetching import cannot, python_packages

BARMAN = "3.19.1"
"""The version that is fetched."""

_PACKAGES = (f"barman=={BARMAN}", "psycopg2-binary==2.9.13", "python-dateutil==2.9.0.post0", "six==1.17.0")
_DEBIANS = Path("/usr/lib/postgresql/15")
_TAKES_AT_MOST = 120

# Run by Barman's own Python path: this is how Barman keeps what it knows of a backup.
_WRITE = """
import sys
from datetime import datetime, timedelta
from barman.config import Config
from barman.infofile import LocalBackupInfo
from barman.server import Server

file, name, status, began, took, kind = sys.argv[1:]
config = Config(file)
config.load_configuration_files_directory()
began = datetime.fromisoformat(began)
info = LocalBackupInfo(Server(config.get_server(name)), backup_id=began.astimezone().strftime("%Y%m%dT%H%M%S"))
if status in ("DONE", "WAITING_FOR_WALS"):
    done = dict(
        begin_time=began, end_time=began + timedelta(seconds=float(took)), begin_wal="0" * 23 + "2",
        end_wal="0" * 23 + "2", begin_xlog="0/2000028", end_xlog="0/2000100", begin_offset=40, end_offset=256,
        timeline=1, size=1000, deduplicated_size=1000, pgdata="/data", version=170000, mode="postgres", systemid="7",
    )
    if kind == "incremental":
        done["parent_backup_id"] = "20200101T000000"
        done["summarize_wal"] = "on"
    for attribute, value in done.items():
        info.set_attribute(attribute, value)
info.set_attribute("status", status)
info.save()
"""


def find_barman() -> Path:
    """The folder of Barman's packages. Fetches them where that is asked for. Raises NotThere."""
    return python_packages("Barman", _PACKAGES)


@pytest.fixture(scope="session")
def barman_packages() -> Path:
    """Where Barman is; the test is skipped, or fails where it must not be, when it is not there."""
    try:
        return find_barman()
    except NotThere as why:
        return cannot(str(why))


class Barman:
    """A Barman with a catalogue of its own below `place`. What it says in the words of a shell is `command`."""

    def __init__(self, packages: Path, place: Path) -> None:
        self.place = place
        self.file = place / "barman.conf"
        self.password = ""
        self._python = f"env PYTHONPATH={packages} {sys.executable}"
        self.command = f"{self._python} {place}/barman --config {self.file}"
        (place / "barman").write_text("from barman.cli import main\nmain()\n")
        self.file.write_text(
            f"[barman]\nbarman_home = {place}/home\nbarman_user = {_user()}\nlog_file = {place}/log\n"
            f"barman_lock_directory = {place}/home\nconfiguration_files_directory = {place}/servers\n"
        )
        for name in ("home", "servers"):
            (place / name).mkdir()

    def add(self, name: str, dsn: str = "host=127.0.0.1 port=1 user=nobody", **settings: str) -> None:
        """Have it know a server. By default nobody is there."""
        given = {"description": name, "conninfo": dsn, "streaming_conninfo": dsn, "backup_method": "postgres"}
        lines = [f"{key} = {value}\n" for key, value in (given | {"archiver": "on"} | settings).items()]
        (self.place / "servers" / f"{name}.conf").write_text(f"[{name}]\n{''.join(lines)}")

    def note(
        self, name: str, began: datetime, status: str = "DONE", took: timedelta = timedelta(minutes=10), kind: str = ""
    ) -> None:
        """Have it know a backup of a server."""
        script = self.place / "write"
        script.write_text(_WRITE)
        words = (str(self.file), name, status, began.isoformat(), str(took.total_seconds()), kind)
        self._good([*self._python.split(), str(script), *words])

    def good(self, *words: str) -> str:
        """Run it, and see it succeed."""
        return self._good([*self.command.split(), *words])

    def _good(self, words: list[str]) -> str:
        environment = os.environ | {"PGPASSWORD": self.password}
        done = subprocess.run(
            words, env=environment, capture_output=True, text=True, timeout=_TAKES_AT_MOST, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="session")
def programs_of_backups() -> Path:
    """The programs of PostgreSQL 15 that Barman needs to make a backup, which no wheel and no npm package has."""
    if not all((_DEBIANS / "bin" / name).exists() for name in ("pg_basebackup", "initdb")):
        cannot("pg_basebackup of PostgreSQL 15 is not on this machine: apt-get install postgresql-15")
    return _DEBIANS


def server_to_back_up(barman: Barman) -> PostgreSQL:
    """A server whose WAL Barman takes in, and which Barman may copy."""
    incoming = barman.place / "home" / "real" / "incoming"
    incoming.mkdir(parents=True)
    for folder in (barman.place, barman.place / "home", barman.place / "home" / "real"):
        folder.chmod(0o755)
    incoming.chmod(0o777)
    settings = {"archive_mode": "on", "archive_command": f"cp %p {incoming}/%f && chmod a+r {incoming}/%f"}
    server = PostgreSQL(programs=_DEBIANS, **settings)
    # Percent signs mean something in such a file, so that the password is told beside it.
    words = conninfo_to_dict(server.dsn("postgres", "postgres"))
    barman.password = str(words.pop("password"))
    barman.add("real", make_conninfo(**words), path_prefix=f"{_DEBIANS}/bin", immediate_checkpoint="true")
    return server


def _user() -> str:
    return subprocess.run(["id", "-un"], capture_output=True, text=True, timeout=10, check=True).stdout.strip()
