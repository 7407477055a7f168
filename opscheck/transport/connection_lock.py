"""Turns at one connection, which answers one question at a time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from opscheck.core.observation import ProbeError, ProblemKind

# Of its time, so that the probe itself says what is late before it is given up.
_OWN_SHARE = 0.95


def own_deadline(timeout_s: float) -> float:
    """When a question that may take so long has to be answered, on the monotonic clock."""
    return monotonic() + timeout_s * _OWN_SHARE


@contextmanager
def turn(lock: threading.Lock, deadline: float, timeout_s: float) -> Iterator[None]:
    """Wait for one's turn until `deadline`. Raises ProbeError when another question took all of the time."""
    if not lock.acquire(timeout=max(0.0, deadline - monotonic())):
        raise ProbeError(ProblemKind.LATE, f"another question took all of the {timeout_s:g} s")
    try:
        yield
    finally:
        lock.release()
