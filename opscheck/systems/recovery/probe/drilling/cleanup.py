"""
Removing the server, the folder and the database of a drill.

The drill's own process does it at every end of the drill; the process that started it repeats it when that one was
killed.
"""

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psycopg
from psycopg import sql

from opscheck.core.observation import ProbeError
from opscheck.systems.postgres.probe.libpq import Connection, TooManyConnections, connect

DATABASE_PREFIX = "opscheck_drill_"
"""The start of the name of a drill's database on a scratch server; a random word follows."""
_ENDING_TAKES_AT_MOST_S = 10.0
_DROPPING_TAKES_AT_MOST_S = 10.0
_POLL_S = 0.02
_DROPS_BY_FORCE = 130000
_PROC = Path("/proc")  # Linux; other systems always have ps


def remove_folder(folder: Path) -> None:
    """Stop the server whose data is in the folder, if one runs, and delete the folder. May be called twice."""
    stop_server(folder)
    ends = time.monotonic() + _ENDING_TAKES_AT_MOST_S
    while folder.exists() and time.monotonic() < ends:
        shutil.rmtree(folder, ignore_errors=True)  # a program that is exiting may still write into it
        time.sleep(_POLL_S if folder.exists() else 0)


def stop_server(folder: Path) -> None:
    """Stop the server in this folder immediately, and wait until it has ended."""
    pid = server_in(folder)
    for how in (signal.SIGQUIT, signal.SIGKILL):
        if pid is None:
            return
        with suppress(ProcessLookupError):
            os.kill(pid, how)
        if _ended(pid, _ENDING_TAKES_AT_MOST_S):
            return


def server_in(folder: Path) -> int | None:
    """The process id of the server whose data is in this folder; None when none runs."""
    try:
        pid = int((folder / "data" / "postmaster.pid").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None
    # Process ids are reused: it must be the server that was started with this folder.
    return pid if str(folder / "data") in _command(pid) else None


def drop_database(dsn: str, database: str) -> bool:
    """Drop a drill's database on a scratch server, even with connections to it; False when that fails."""
    if not database.startswith(DATABASE_PREFIX):
        raise ValueError(database)
    try:
        connection = connect(dsn, time.monotonic() + _DROPPING_TAKES_AT_MOST_S)
    except (TimeoutError, TooManyConnections, ProbeError):
        return False
    with connection, suppress(psycopg.Error):
        _drop(connection, database)
        return True
    return False


def _drop(connection: Connection, database: str) -> None:
    connection.execute(f"SET statement_timeout = '{_DROPPING_TAKES_AT_MOST_S:g}s'")
    if connection.info.server_version >= _DROPS_BY_FORCE:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))
        return
    connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (database,))
    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(database)))


def _ended(pid: int, within_s: float) -> bool:
    ends = time.monotonic() + within_s
    while time.monotonic() < ends:
        if not _lives(pid):
            return True
        time.sleep(_POLL_S)
    return False


def _lives(pid: int) -> bool:
    with suppress(ChildProcessError):  # usually it is not a child of this process
        os.waitpid(pid, os.WNOHANG)
    if not _PROC.exists():
        return bool(_ps(pid, "state")) and not _ps(pid, "state").startswith("Z")
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _command(pid: int) -> str:
    """The command line of a process; empty when it does not exist."""
    if not _PROC.exists():
        return _ps(pid, "command")
    try:
        return (_PROC / str(pid) / "cmdline").read_text(errors="replace").replace("\0", " ")
    except OSError:
        return ""


def _ps(pid: int, what: str) -> str:
    command = ["ps", "-ww", "-o", f"{what}=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603 - a number
