"""
Gathering: every query in a thread of its own, bounded per target and for the run, each with its deadline.

The threads are daemons and are not joined: a thread that is stuck in a socket is abandoned at its deadline, and
delays neither the run nor the end of the process. A pool would wait for it.
"""

import queue
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from opscheck.core.observation import Observation, ProbeError, Problem, ProblemKind
from opscheck.core.query import Query
from opscheck.core.registry import Registry
from opscheck.core.system import Session
from opscheck.core.target import Target
from opscheck.core.units import format_duration
from opscheck.gathering.plan import Asked

DEFAULT_CONCURRENCY = 64
DEFAULT_DEADLINE_S = 120.0
_CLOSING_S = 0.5
_TICK_S = 0.25
"""Seconds between two progress reports."""

Progress = Callable[[int, int], None]
"""Called with the number of finished queries and of all queries."""


@dataclass(eq=False)
class _Job:
    """One call into a probe, in one thread."""

    place: "_Place"
    call: Callable[[], Any]
    timeout_s: float
    query: Query[Any] | None  # None: the first contact with the target
    started: float = 0.0
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    over: bool = False


@dataclass(eq=False)
class _Place:
    """One target: its session, its waiting queries, and its state."""

    target: Target
    waiting: deque[Asked] = field(default_factory=deque)
    running: int = 0
    groups: set[str] = field(default_factory=set)
    """Groups with a query in progress."""
    contacted: bool = False
    session: Session | None = None
    down: Problem | None = None
    last_answer: float = 0.0

    @property
    def ready(self) -> bool:
        if not self.waiting:
            return False
        if self.session is None:
            return not self.contacted
        return self.running < self.target.concurrency and self._next is not None

    def take(self) -> Asked:
        """The next query whose group has no query in progress; None until the target is ready."""
        place = self._next or 0
        asked = self.waiting[place]
        del self.waiting[place]
        self.running += 1
        if asked.query.group:
            self.groups.add(asked.query.group)
        return asked

    def release(self, query: Query[Any]) -> None:
        """Allow the next query of its group."""
        self.running -= 1
        self.groups.discard(query.group)

    @property
    def _next(self) -> int | None:
        return next((place for place, one in enumerate(self.waiting) if one.query.group not in self.groups), None)


class Gatherer:
    """Sends the queries of a run. Not for use from several threads."""

    def __init__(
        self,
        targets: Mapping[str, Target],
        *,
        concurrency: int = DEFAULT_CONCURRENCY,
        deadline_s: float = DEFAULT_DEADLINE_S,
        registry: Registry,
    ) -> None:
        self._places = {name: _Place(target) for name, target in targets.items()}
        self._concurrency = concurrency
        self._deadline_s = deadline_s
        self._ends = time.monotonic() + deadline_s
        self._registry = registry
        self._finished: queue.SimpleQueue[tuple[_Job, Any, Problem | None, float]] = queue.SimpleQueue()
        self._running: list[_Job] = []

    def gather(self, asked: Iterable[Asked], progress: Progress | None = None) -> dict[Query[Any], Observation]:
        """Send every query and wait until each has its answer or its problem."""
        observations: dict[Query[Any], Observation] = {}
        total = 0
        for one in asked:
            self._places[one.query.target].waiting.append(one)
            total += 1
        self._load_probes()
        while len(observations) < total:
            self._start_what_may_start(observations)
            if len(observations) < total:
                self._await_next(observations)
            if progress:
                progress(len(observations), total)
        return observations

    def close(self) -> None:
        """Close the sessions. One that does not close in time ends with the process."""
        closing = []
        for place in self._places.values():
            if place.session is not None and not place.running:
                closing.append(threading.Thread(target=_close_quietly, args=(place.session,), daemon=True))
            place.session = None
        for thread in closing:
            thread.start()
        ends = time.monotonic() + _CLOSING_S
        for thread in closing:
            thread.join(max(0.0, ends - time.monotonic()))

    def _load_probes(self) -> None:
        # Before any clock starts: importing a client library can take a second, which must not count as latency
        # of this target or of others.
        for kind in {place.target.kind for place in self._places.values() if place.waiting}:
            with suppress(Exception):  # the first contact fails in the same way and reports it
                self._registry.probe(kind)

    def _start_what_may_start(self, observations: dict[Query[Any], Observation]) -> None:
        for place in self._places.values():
            if place.down is not None:
                self._give_up(place, place.down, observations)
            while place.ready and len(self._running) < self._concurrency:
                self._start(self._contact(place) if place.session is None else self._next_query(place))

    def _contact(self, place: _Place) -> _Job:
        place.contacted = True
        timeout_s = max(asked.timeout_s for asked in place.waiting)

        def contact() -> Session:
            return self._registry.probe(place.target.kind).open_session(place.target, timeout_s)

        return _Job(place, contact, timeout_s, None)

    def _next_query(self, place: _Place) -> _Job:
        asked, session = place.take(), place.session
        reader = self._registry.reader(asked.query)

        def ask() -> Any:
            if reader is not None:
                return reader(session, asked.query, asked.timeout_s)
            return session.ask(asked.query, asked.timeout_s)  # type: ignore[union-attr]  # it is open by now

        return _Job(place, ask, asked.timeout_s, asked.query)

    def _start(self, job: _Job) -> None:
        job.started, job.started_at = time.monotonic(), datetime.now(UTC)
        self._running.append(job)
        threading.Thread(target=self._run, args=(job,), daemon=True, name=f"opscheck-{job.place.target.name}").start()

    def _run(self, job: _Job) -> None:
        answer, problem = None, None
        try:
            answer = job.call()
        except ProbeError as error:
            problem = error.problem
        except Exception as error:  # noqa: BLE001 - a client library may raise anything; the run goes on and reports it
            problem = Problem(kind=ProblemKind.BROKEN, text=f"opscheck failed: {_where(error)}")
        self._finished.put((job, answer, problem, time.monotonic()))

    def _await_next(self, observations: dict[Query[Any], Observation]) -> None:
        now = time.monotonic()
        if now >= self._ends:
            self._end_of_run(observations)
            return
        deadline = min([self._ends, *(job.started + job.timeout_s for job in self._running)])
        try:
            finished = self._finished.get(timeout=min(_TICK_S, max(0.0, deadline - now)))
        except queue.Empty:
            self._expire(observations)
            return
        while True:
            self._settle(*finished, observations)
            try:
                finished = self._finished.get_nowait()
            except queue.Empty:
                return

    def _settle(
        self, job: _Job, answer: Any, problem: Problem | None, at: float, observations: dict[Query[Any], Observation]
    ) -> None:
        if job.over:  # abandoned at its deadline; this answer is too late
            return
        self._retire(job)
        place = job.place
        if job.query is None:
            place.session = answer
            place.down = problem and msgspec.structs.replace(problem, target_down=True)
            return
        if problem is None or not problem.target_down:
            place.last_answer = at
        elif place.down is None:
            place.down = problem
        observations[job.query] = _observation(job, at, answer, problem)

    def _expire(self, observations: dict[Query[Any], Observation]) -> None:
        now = time.monotonic()
        for job in [job for job in self._running if now >= job.started + job.timeout_s]:
            self._retire(job)
            place = job.place
            # No answer since this query was sent: the target is down, and the other queries need not wait as long.
            silent = job.query is None or place.last_answer < job.started
            late = Problem(
                kind=ProblemKind.LATE,
                text=f"no answer in {job.timeout_s:g} s",
                target_down=silent,
                waited_s=job.timeout_s,
            )
            if silent and place.down is None:
                place.down = late
            if job.query is not None:
                observations[job.query] = _observation(job, now, None, late)

    def _end_of_run(self, observations: dict[Query[Any], Observation]) -> None:
        over = f"the time limit of the run ({format_duration(self._deadline_s)}) was reached"
        now = time.monotonic()
        for job in list(self._running):
            self._retire(job)
            problem = Problem(kind=ProblemKind.LATE, text=f"no answer when {over}", waited_s=now - job.started)
            if job.query is not None:
                observations[job.query] = _observation(job, now, None, problem)
        for place in self._places.values():
            unasked = Problem(kind=ProblemKind.UNSUPPLIED, text=f"not sent: {over}")
            self._give_up(place, place.down or unasked, observations)

    def _retire(self, job: _Job) -> None:
        job.over = True
        self._running.remove(job)
        if job.query is not None:
            job.place.release(job.query)

    def _give_up(self, place: _Place, problem: Problem, observations: dict[Query[Any], Observation]) -> None:
        now = datetime.now(UTC)
        while place.waiting:
            query = place.waiting.popleft().query
            observations[query] = Observation(taken_at=now, duration_s=0.0, problem=problem)


def _observation(job: _Job, at: float, answer: Any, problem: Problem | None) -> Observation:
    return Observation(taken_at=job.started_at, duration_s=round(at - job.started, 6), answer=answer, problem=problem)


def _where(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"


def _close_quietly(session: Session) -> None:
    with suppress(Exception):  # the run is over and its observations are safe
        session.close()
