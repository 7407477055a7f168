"""Jobs that run at the same time: every result arrives once, and one that hangs delays no other."""

import threading
import time
from contextlib import closing

from opscheck.transport.concurrency import completed


def soon() -> float:
    return time.monotonic() + 5


def test_every_job_is_done_once_with_few_threads():
    jobs = [lambda number=number: number * 10 for number in range(20)]

    assert sorted(completed(jobs, soon(), 3)) == [(number, number * 10) for number in range(20)]


def test_no_jobs_give_no_results():
    assert list(completed([], soon(), 3)) == []


def test_exception_of_a_job_is_its_result():
    error = ValueError("no")

    def failing() -> int:
        raise error

    assert list(completed([failing], soon(), 1)) == [(0, error)]


def test_hanging_job_is_abandoned_at_the_deadline():
    release = threading.Event()
    try:
        found = list(completed([release.wait, lambda: True], time.monotonic() + 0.2, 2))
    finally:
        release.set()

    assert found == [(1, True)]


def test_no_further_job_starts_after_closing():
    started = []
    gate = threading.Event()

    def job(number: int) -> int:
        started.append(number)
        if number:
            gate.wait(5)
        return number

    with closing(completed([lambda number=number: job(number) for number in range(50)], soon(), 1)) as results:
        assert next(results) == (0, 0)
    gate.set()
    time.sleep(0.05)

    assert len(started) <= 2
