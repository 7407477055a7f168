"""What a check calls `observe`: gathered answers first, and the target itself for what was not gathered."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from opscheck.core.findings import Observe
from opscheck.core.observation import CouldNotObserve, Observation
from opscheck.core.query import Query

A = TypeVar("A")


class Observing(Observe):
    """`observe` for one check: it remembers which observations the verdict stands on."""

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
        """The first answer that was asked for and not there; a check that passes over it has not looked."""

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
        """All that is known of an answer, which is fetched now if it was not gathered."""
        return self._gathered.get(query) or self._fetch(query)

    @property
    def observed_at(self) -> datetime | None:
        """When the oldest observation that was used was taken."""
        return min((observation.taken_at for observation in self.used), default=None)

    @property
    def duration_s(self) -> float:
        """How long the slowest query took."""
        return max((observation.duration_s for observation in self.used), default=0.0)
