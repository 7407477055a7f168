"""When programs for tests may be fetched, and what becomes of a test without them."""

import functools
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from tests.servers.cache import NotThere, cached, fingerprint, last_line, make_once

REQUIRED = "OPSCHECK_REQUIRE_STORES"
"""The environment variable that asks to fetch what is missing, and under which a skipped test is a failure."""

FETCHING_TAKES_AT_MOST = 10 * 60.0


def is_required() -> bool:
    """True when tests on a real server must not be skipped."""
    return bool(os.environ.get(REQUIRED))


def cannot(why: str) -> NoReturn:
    """End a test for which something is missing: skipped, or failed where it must not be."""
    (pytest.fail if is_required() else pytest.skip)(why)


def may_fetch(what: str) -> None:
    """Raises NotThere unless somebody asked for it."""
    if not is_required():
        raise NotThere(f"{what} was not fetched yet: `make stores` does, once")


def run(command: Sequence[str], folder: Path, within: float) -> subprocess.CompletedProcess[str]:
    """A program that fetches something, and speaks English. Raises NotThere when it takes too long."""
    environment: Mapping[str, str] = os.environ | {"LC_ALL": "C"}
    try:
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=within, check=False
        )
    except subprocess.TimeoutExpired:
        raise NotThere(f"{' '.join(command[:2])} did not end in {within:.0f} s") from None


@functools.cache
def python_packages(name: str, packages: tuple[str, ...]) -> Path:
    """A folder with these packages only, for PYTHONPATH. Fetches them where that is asked for. Raises NotThere."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    place = cached(fingerprint(python.encode(), *(package.encode() for package in packages)))
    if not place.is_dir():
        may_fetch(name)
        make_once(place, functools.partial(_install, name, packages), FETCHING_TAKES_AT_MOST)
    return place


def _install(name: str, packages: Sequence[str], place: Path, within: float) -> None:
    words = ("install", "--quiet", "--no-deps", "--only-binary=:all:", "--target", str(place), *packages)
    done = run((sys.executable, "-m", "pip", *words), place.parent, within)
    if done.returncode:
        raise NotThere(f"{name} cannot be fetched: pip said: {last_line(done.stderr or done.stdout)}")
