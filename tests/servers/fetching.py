"""When programs for tests may be fetched, and what becomes of a test without them."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from tests.servers.cache import NotThere

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
