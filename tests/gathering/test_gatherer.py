"""Every distinct query is asked once and observed by its deadline, and a dead target costs one time-out."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from opscheck.core.expectation import Expectation
from opscheck.core.observation import Observation, ProbeError, ProblemKind
from opscheck.core.query import Query
from opscheck.core.registry import Registry
from opscheck.core.target import Target
from opscheck.core.units import Duration
from opscheck.gathering.gatherer import Gatherer
from opscheck.gathering.plan import Asked, first_questions, plan
from opscheck.testing import expect
from tests.registries import ProbesOf


class Place(Target):
    """A target that these tests answer for; no policy can name its kind."""


@dataclass(frozen=True)
class Number(Query[int], name="test.number"):
    """Asks for a number."""

    number: int = 0


class Numbers(Expectation, check="test.numbers"):
    """The numbers are right."""

    target: Place
    ask: tuple[int, ...] = (1,)

    def queries(self) -> list[Number]:
        """One query per number."""
        return [Number(target=self.target.name, number=number) for number in self.ask]


class TwoPlaces(Expectation, check="test.two_places"):
    """Two targets agree."""

    target: Place
    other: Place

    def queries(self) -> list[Number]:
        """One query to each."""
        return [Number(target=self.target.name), Number(target=self.other.name)]


@dataclass(frozen=True)
class InRoom(Query[int], name="test.in_room"):
    """Asks for something in the room of this number."""

    number: int = 0
    what: str = ""

    @property
    def group(self) -> str:
        """The room."""
        return str(self.number)


class Rooms(Expectation, check="test.rooms"):
    """The rooms are right."""

    target: Place
    ask: tuple[int, ...]

    def queries(self) -> list[InRoom]:
        """Two questions in each room."""
        return [InRoom(self.target.name, number, what) for what in "ab" for number in self.ask]


class Recorder:
    """A probe whose answers a test chooses; it writes down what it was asked, and how much at the same time."""

    def __init__(self, answer: Callable[[Number], Any] = lambda query: query.number) -> None:
        self._answer = answer
        self._lock = threading.Lock()
        self._busy = 0
        self.asked: list[Number] = []
        self.opened = 0
        self.most_at_once = 0
        self.refuses: ProbeError | None = None

    def open_session(self, target: Place, timeout_s: float) -> "Recorder":
        self.opened += 1
        if self.refuses:
            raise self.refuses
        return self

    def ask(self, query: Number, timeout_s: float) -> Any:
        with self._lock:
            self.asked.append(query)
            self._busy += 1
            self.most_at_once = max(self.most_at_once, self._busy)
        try:
            return self._answer(query)
        finally:
            with self._lock:
                self._busy -= 1

    def close(self) -> None:
        """Nothing to let go of."""


@pytest.fixture(name="stuck")
def _stuck():
    """A wait that outlives every deadline of a test, and ends with the test."""
    released = threading.Event()
    yield released.wait
    released.set()


def gather(probe: Recorder, numbers: range | list[int], *, timeout_s: float = 5.0, **options: Any) -> list[Observation]:
    concurrency = options.pop("per_target", 16)
    target = Place(kind="test-place", concurrency=concurrency).named("place")
    gatherer = Gatherer({"place": target}, registry=options.pop("registry", ProbesOf(lambda kind: probe)), **options)
    asked = [Asked(Number(target="place", number=number), timeout_s) for number in numbers]
    observations = gatherer.gather(asked)
    return [observations[one.query] for one in asked]


def test_distinct_query_is_sent_once():
    target = Place(kind="test-place")
    expectations = [expect(Numbers, target, severity="P1", ask=[1, 2]) for _ in range(50)]

    asked = plan(first_questions(expectations), Duration(5))

    assert [1, 2] == [one.query.number for one in asked]


def test_query_has_the_longest_timeout_of_its_expectations():
    target = Place(kind="test-place")
    expectations = [expect(Numbers, target, severity="P1", timeout=timeout) for timeout in ("1s", "9s", "3s")]

    (asked,) = plan(first_questions(expectations), Duration(5))

    assert 9.0 == asked.timeout_s


def test_skipped_expectation_sends_no_query():
    expectation = expect(Numbers, Place(kind="test-place"), severity="P1", skip="there is no such system here")

    assert [] == plan(first_questions([expectation]), Duration(5))


def test_query_has_the_timeout_of_its_target():
    here, there = (Place(kind="place", timeout=timeout) for timeout in ("7s", "9s"))
    both = expect(TwoPlaces, here, severity="P1", other=there.named("other"))

    assert [7.0, 9.0] == [asked.timeout_s for asked in plan(first_questions([both]), Duration(5))]


def test_queries_of_one_group_are_planned_together():
    target = Place(kind="test-place")
    first, second = (expect(Rooms, target, severity="P1", ask=ask) for ask in ([3, 1], [1, 4]))

    asked = plan(first_questions([first, second]), Duration(5))

    assert [(1, "a"), (1, "b"), (3, "a"), (3, "b"), (4, "a"), (4, "b")] == [
        (one.query.number, one.query.what) for one in asked
    ]


def test_groups_are_concurrent_and_their_queries_sequential():
    busy: set[str] = set()
    most: list[int] = []
    clashes: list[str] = []
    both = threading.Barrier(2, timeout=10)

    class Rooms(Recorder):
        def ask(self, query: InRoom, timeout_s: float) -> int:
            with self._lock:
                clashes.extend(busy & {query.group})
                busy.add(query.group)
                most.append(len(busy))
            both.wait()  # two rooms are asked at the same time, or nobody goes on
            with self._lock:
                busy.discard(query.group)
            return 0

    asked = [Asked(InRoom("place", number, what), 5.0) for number in (1, 2) for what in "abc"]
    probe = Rooms(lambda query: 0)
    target = Place(kind="test-place", concurrency=4).named("place")
    answers = Gatherer({"place": target}, registry=ProbesOf(lambda kind: probe)).gather(asked)

    assert [] == clashes
    assert 2 == max(most)
    assert 6 == len(answers)


def test_answers_arrive_with_their_time_and_duration():
    (observation,) = gather(Recorder(), [7])

    assert 7 == observation.answer
    assert observation.problem is None
    assert observation.taken_at.tzinfo is not None
    assert 0 <= observation.duration_s < 5


def test_slow_import_of_a_client_library_is_not_a_timeout():
    loading = iter([0.3])

    def probes(kind: str) -> Recorder:
        time.sleep(next(loading, 0.0))  # an import is slow once
        return Recorder()

    (observation,) = gather(Recorder(), [7], timeout_s=0.2, registry=ProbesOf(probes))

    assert 7 == observation.answer


def test_probe_that_cannot_be_imported_is_a_problem():
    def probes(kind: str) -> Recorder:
        raise LookupError(f"no probe for targets of kind {kind}")

    (observation,) = gather(Recorder(), [7], registry=ProbesOf(probes))

    assert observation.problem is not None
    assert "no probe for targets of kind test-place" in observation.problem.text


def test_no_more_queries_run_at_once_than_the_target_allows():
    three = threading.Barrier(3)
    probe = Recorder(lambda query: three.wait(30))

    gather(probe, range(39), per_target=3)

    assert 3 == probe.most_at_once
    assert 39 == len(probe.asked)


def test_no_more_queries_run_at_once_than_the_run_allows():
    five = threading.Barrier(5)
    probe = Recorder(lambda query: five.wait(30))

    gather(probe, range(40), per_target=16, concurrency=5)

    assert 5 == probe.most_at_once


def test_late_query_is_unknown_with_its_waiting_time(stuck):
    (observation,) = gather(Recorder(lambda query: stuck()), [1], timeout_s=0.2)

    assert observation.problem is not None
    assert ProblemKind.LATE == observation.problem.kind
    assert "no answer in 0.2 s" == observation.problem.text


def test_slow_query_among_answers_does_not_mark_the_target_down(stuck):
    observations = gather(
        Recorder(lambda query: stuck() if query.number == 0 else query.number), range(5), timeout_s=0.3
    )

    assert observations[0].problem is not None
    assert not observations[0].problem.target_down
    assert [1, 2, 3, 4] == [observation.answer for observation in observations[1:]]


def test_unresponsive_target_costs_one_timeout_for_fifty_queries(stuck):
    probe = Recorder(lambda query: stuck())

    observations = gather(probe, range(50), timeout_s=0.5)

    assert all(observation.problem and observation.problem.target_down for observation in observations)
    assert 16 == len(probe.asked)


def test_refusing_target_is_contacted_once():
    probe = Recorder()
    probe.refuses = ProbeError(ProblemKind.UNREACHABLE, "connection refused by 127.0.0.1:1", target_down=True)

    observations = gather(probe, range(50))

    assert 1 == probe.opened
    assert [] == probe.asked
    assert {"connection refused by 127.0.0.1:1"} == {
        observation.problem.text for observation in observations if observation.problem
    }


def test_exception_of_a_probe_is_a_problem_with_its_place():
    def fail(query: Number) -> int:
        raise KeyError("no such column")

    (observation,) = gather(Recorder(fail), [1])

    assert observation.problem is not None
    assert ProblemKind.BROKEN == observation.problem.kind
    assert "KeyError: 'no such column' (test_gatherer.py:" in observation.problem.text


def test_every_query_has_an_observation_at_the_run_deadline(stuck):
    observations = gather(Recorder(lambda query: stuck()), range(40), timeout_s=60, deadline_s=0.3)

    texts = {observation.problem.text for observation in observations if observation.problem}
    assert {
        "no answer when the time limit of the run (300ms) was reached",
        "not sent: the time limit of the run (300ms) was reached",
    } == texts


def test_answer_after_its_deadline_is_ignored():
    probe = Recorder(lambda query: time.sleep(0.15 if query.number == 0 else 0.3))

    observations = gather(probe, [0, 1], timeout_s=0.1, per_target=2)

    assert all(observation.problem is not None for observation in observations)


def test_progress_counts_up_to_the_number_of_queries():
    seen: list[tuple[int, int]] = []
    gatherer = Gatherer({"place": Place(kind="test-place").named("place")}, registry=ProbesOf(lambda kind: Recorder()))

    gatherer.gather(
        [Asked(Number(target="place", number=number), 5) for number in range(3)], lambda *step: seen.append(step)
    )

    assert (3, 3) == seen[-1]
    assert seen == sorted(seen)


def test_target_without_a_probe_is_reported():
    gatherer = Gatherer({"place": Place(kind="test-place").named("place")}, registry=Registry())

    (observation,) = gatherer.gather([Asked(Number(target="place", number=1), 5)]).values()

    assert observation.problem is not None
    assert "no probe for targets of kind test-place" in observation.problem.text
