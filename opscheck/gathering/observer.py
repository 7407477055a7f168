"""The `observe` of a check: gathered answers first, then the target for other queries."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from opscheck.core.findings import Observe
from opscheck.core.observation import CouldNotObserve, Observation
from opscheck.core.query import Query

A = TypeVar("A")


class Observing(Observe):
    """`observe` for one check; it records the observations that the verdict depends on."""

    def __init__(
        self,
        gathered: Mapping[Query[Any], Observation],
        fetch: Callable[[Query[Any]], Observation],
        now: datetime,
    ) -> None:
        self._gathered = gathered
        self._fetch = fetch
        self.now = now
        self.used: list[Observation] = []
        self.missing: CouldNotObserve | None = None
        """The first missing answer; a check that ignores it cannot pass."""

    def __call__(self, query: Query[A]) -> A:
        """The answer to `query`. Raises CouldNotObserve when there is none."""
        observation = self.observation(query)
        self.used.append(observation)
        if observation.problem is not None:
            missing = CouldNotObserve(query, observation.problem)
            self.missing = self.missing or missing
            raise missing
        answer: A = observation.answer
        return answer

    def observation(self, query: Query[Any]) -> Observation:
        """The observation of `query`, which is sent now if it was not gathered."""
        return self._gathered.get(query) or self._fetch(query)

    @property
    def observed_at(self) -> datetime | None:
        """Time of the oldest used observation."""
        return min((observation.taken_at for observation in self.used), default=None)

    @property
    def duration_s(self) -> float:
        """Duration of the slowest query."""
        return max((observation.duration_s for observation in self.used), default=0.0)
