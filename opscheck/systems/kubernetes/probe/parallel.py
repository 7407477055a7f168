"""Several requests for the answer to one question, some of them at a time."""

import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import TypeVar

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.kubernetes.probe.client import Deadline

AT_ONCE = 8

T = TypeVar("T")
R = TypeVar("R")


def in_parallel(
    one: Callable[[T], R], jobs: Sequence[T], deadline: Deadline, late: Callable[[int], ProbeError]
) -> list[R]:
    """
    `one` of every job, in the order of the jobs.

    Raises the first ProbeError, and `late` of how many were done when time is over.
    """
    waiting, done = SimpleQueue[int](), SimpleQueue[tuple[int, R | BaseException]]()
    for number in range(len(jobs)):
        waiting.put(number)
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            try:
                number = waiting.get_nowait()
            except Empty:
                return
            try:
                done.put((number, one(jobs[number])))
            except BaseException as error:  # noqa: BLE001 - it is raised again in the thread that waits
                done.put((number, error))

    for _ in range(min(AT_ONCE, len(jobs))):
        # Daemons: whatever holds one, it must not hold the process.
        threading.Thread(target=work, daemon=True).start()
    try:
        return _collected(done, len(jobs), deadline, late)
    finally:
        stop.set()


def _collected(
    done: "SimpleQueue[tuple[int, R | BaseException]]",
    count: int,
    deadline: Deadline,
    late: Callable[[int], ProbeError],
) -> list[R]:
    results: dict[int, R] = {}
    while len(results) < count:
        try:
            number, result = done.get(timeout=max(0.0, deadline.left))
        except Empty:
            raise late(len(results)) from None
        if isinstance(result, ProbeError) and result.problem.kind is ProblemKind.LATE and results:
            raise late(len(results)) from result
        if isinstance(result, BaseException):
            raise result
        results[number] = result
    return [results[number] for number in range(count)]
