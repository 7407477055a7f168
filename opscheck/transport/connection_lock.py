"""The lock of a connection that answers one query at a time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from opscheck.core.observation import ProbeError, ProblemKind

# Share of the time limit, so that the probe reports a timeout before the engine gives the query up.
_OWN_SHARE = 0.95


def own_deadline(timeout_s: float) -> float:
    """The deadline of a query with this time limit, on the monotonic clock."""
    return monotonic() + timeout_s * _OWN_SHARE


@contextmanager
def turn(lock: threading.Lock, deadline: float, timeout_s: float) -> Iterator[None]:
    """Hold the lock. Raises ProbeError when another query holds it until `deadline`."""
    if not lock.acquire(timeout=max(0.0, deadline - monotonic())):
        raise ProbeError(ProblemKind.LATE, f"another query took all of the {timeout_s:g} s")
    try:
        yield
    finally:
        lock.release()
