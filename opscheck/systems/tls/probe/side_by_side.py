"""Several waits at the same time, so that one that never ends delays nobody."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

_THREADS = 32
"""More than a name has addresses: one that is never asked would look silent."""


def all_by(deadline: float, jobs: Sequence[Callable[[], T]]) -> list[T | None]:
    """
    What each job returns, in their order; None of one that has not ended by `deadline`, on the monotonic clock.

    Whatever a job raises is raised here. The threads are daemons, and one that is stuck is left behind.
    """
    waiting: queue.SimpleQueue[tuple[int, Callable[[], T]]] = queue.SimpleQueue()
    finished: queue.SimpleQueue[tuple[int, T | None, Exception | None]] = queue.SimpleQueue()
    for numbered in enumerate(jobs):
        waiting.put(numbered)
    for _ in range(min(_THREADS, len(jobs))):
        threading.Thread(target=_work, args=(waiting, finished), daemon=True).start()
    results: list[T | None] = [None] * len(jobs)
    for _ in jobs:
        try:
            number, result, error = finished.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        if error is not None:
            raise error
        results[number] = result
    return results


def _work(
    waiting: "queue.SimpleQueue[tuple[int, Callable[[], T]]]",
    finished: "queue.SimpleQueue[tuple[int, T | None, Exception | None]]",
) -> None:
    while True:
        try:
            number, job = waiting.get_nowait()
        except queue.Empty:
            return
        try:
            finished.put((number, job(), None))
        except Exception as error:  # noqa: BLE001 - raised where somebody waits
            finished.put((number, None, error))
