"""
The data stores that tests run on: which versions, and where each comes from.

Without a word they are the newest of the wheels. `OPSCHECK_POSTGRES=13,18` and `OPSCHECK_REDIS=6,7` name others.
"""

import atexit
import functools
import os
import shutil
import subprocess
from pathlib import Path

from opscheck.demo import redis as wheel
from opscheck.demo.postgres import installed_versions
from opscheck.transport.processes import folder, reachable
from tests.servers.cache import NotThere
from tests.servers.debian import SERVERS, find_debian
from tests.servers.embedded import PINNED, find_postgres

POSTGRES = "OPSCHECK_POSTGRES"
"""The environment variable that names major versions of PostgreSQL: of 13 to 18, with contrib."""

REDIS = "OPSCHECK_REDIS"
"""The environment variable that names major versions of Redis: the wheel's 6, and Debian's."""

WHEELS_REDIS = 6
"""The major version of Redis that tests run on by default."""

WHEELS_POSTGRES = max(installed_versions())
"""That of PostgreSQL."""


def _chosen(variable: str) -> list[int]:
    return [int(word) for word in os.environ.get(variable, "").split(",") if word.strip()]


def postgres_majors() -> list[int]:
    """The major versions of PostgreSQL to test on; the newest of the wheel's by itself, which is quick."""
    return _chosen(POSTGRES) or [WHEELS_POSTGRES]


@functools.cache
def postgres(major: int) -> Path:
    """The installation of a major version: of the wheel, unless the environment names any. Raises NotThere."""
    if not _chosen(POSTGRES):
        return installed_versions()[major]
    if major not in find_postgres():
        raise NotThere(f"{POSTGRES} names PostgreSQL {major}, and {PINNED / 'package.json'} does not")
    return runnable(find_postgres()[major])


def redis_majors() -> list[int]:
    """The major versions of Redis to test on."""
    return _chosen(REDIS) or [WHEELS_REDIS]


@functools.cache
def redis(major: int) -> Path:
    """The redis-server of a major version. Raises NotThere."""
    if major == WHEELS_REDIS:
        return wheel.program()
    program = debian() / "redis-server"
    if not version_of(program).startswith(f"{major}."):
        raise NotThere(f"{REDIS} names Redis {major}, and this Debian has {version_of(program)}")
    return program


@functools.cache
def debian() -> Path:
    """The folder with redis-server, redis-sentinel and pgbouncer. Raises NotThere."""
    return runnable(find_debian(*SERVERS)) / "bin"


@functools.cache
def version_of(program: Path, word: str = "--version") -> str:
    """As a program prints it: `Redis server v=7.0.15 sha=…`, `PgBouncer 1.18.0`, `postgres (PostgreSQL) 13.23`."""
    said = subprocess.run([program, word], capture_output=True, text=True, timeout=30, check=True).stdout
    words = (word.removeprefix("v=") for word in said.split())
    return next(word for word in words if word[:1].isdigit())


def runnable(programs: Path) -> Path:
    """Where an unprivileged user can run these: there, or in a copy that lasts as long as this process."""
    if os.geteuid() != 0 or reachable(programs):
        return programs
    copy = folder()
    atexit.register(copy.cleanup)
    return shutil.copytree(programs, Path(copy.name) / programs.name, symlinks=True)
