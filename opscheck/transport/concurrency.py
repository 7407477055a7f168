"""Several jobs at once, in threads that never keep the process alive: one that hangs delays no other."""

import queue
import threading
import time
from collections.abc import Callable, Generator, Sequence
from typing import TypeVar

T = TypeVar("T")


def completed(
    jobs: Sequence[Callable[[], T]], deadline: float, threads: int
) -> Generator[tuple[int, T | BaseException], None, None]:
    """
    The number and the result of each job, or the exception that it raised, in the order in which they end.

    Ends early at `deadline` on the monotonic clock. Closed early, no further job is started. A thread that hangs is
    left behind.
    """
    waiting, done = queue.SimpleQueue[int](), queue.SimpleQueue[tuple[int, T | BaseException]]()
    stopped = threading.Event()
    for number in range(len(jobs)):
        waiting.put(number)

    def work() -> None:
        while not stopped.is_set():
            try:
                number = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((number, jobs[number]()))
            except BaseException as error:  # noqa: BLE001 - reported to the thread that waits
                done.put((number, error))

    for _ in range(min(threads, len(jobs))):
        threading.Thread(target=work, daemon=True).start()
    try:
        for _ in jobs:
            yield done.get(timeout=max(0.0, deadline - time.monotonic()))
    except queue.Empty:
        return
    finally:
        stopped.set()
