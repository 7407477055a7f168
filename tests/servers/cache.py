"""
Where programs for tests are kept that are no part of a wheel: in the user's cache, outside the checkout.

They are made once for a machine, whole, and only when somebody asks for it: that takes its time.
"""

import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL = 0.5


class NotThere(Exception):  # noqa: N818 -- a statement reads better in the line of a skipped test
    """There are no programs, and why in one line."""


def fingerprint(*parts: bytes) -> str:
    """A name for what is made from these; it changes with each of them."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def cached(name: str) -> Path:
    """Where something of this name is, or would be."""
    usual = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(usual).expanduser() / "opscheck" / "servers" / name


def make_once(place: Path, make: Callable[[Path, float], None], within: float) -> None:
    """
    Make the folder `place`, unless another process does or did; whoever comes second waits for the first.

    `make` gets a folder to make, and how many seconds it may take. Raises NotThere, as `make` does.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + within
    with _locked(place.with_suffix(".lock"), deadline):
        if place.exists():
            return
        with tempfile.TemporaryDirectory(dir=place.parent, prefix="building-") as unfinished:
            made = Path(unfinished) / "made"
            make(made, deadline - time.monotonic())
            made.rename(place)  # all at once: half of it is never there


@contextmanager
def _locked(path: Path, deadline: float) -> Iterator[None]:
    with path.open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise NotThere(f"another process has been making it for too long: {path}") from None
                time.sleep(_POLL)
            else:
                break
        yield  # the lock ends with the file, also when this process is killed


def last_line(text: str) -> str:
    """What a program said last, which is mostly why it failed."""
    return (text.strip().splitlines() or ["it does not say why"])[-1]
