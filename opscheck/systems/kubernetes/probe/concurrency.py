"""Several requests for the answer to one query, some of them at a time."""

from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from typing import TypeVar

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.kubernetes.probe.client import Deadline
from opscheck.transport.concurrency import completed

AT_ONCE = 8
T = TypeVar("T")
R = TypeVar("R")


def in_parallel(
    one: Callable[[T], R], jobs: Sequence[T], deadline: Deadline, late: Callable[[int], ProbeError]
) -> list[R]:
    """
    `one` of every job, in the order of the jobs.

    Raises the first ProbeError, and `late` of the number of finished jobs at the deadline.
    """
    results: dict[int, R] = {}
    with closing(completed([partial(one, job) for job in jobs], deadline.at, AT_ONCE)) as finished:
        for number, result in finished:
            if isinstance(result, ProbeError) and result.problem.kind is ProblemKind.LATE and results:
                raise late(len(results)) from result
            if isinstance(result, BaseException):
                raise result
            results[number] = result
    if len(results) < len(jobs):
        raise late(len(results))
    return [results[number] for number in range(len(jobs))]
