"""What every expectation of Redis servers has."""

from collections.abc import Iterable
from typing import Any

from opscheck.core.expectation import Expectation
from opscheck.core.query import Query
from opscheck.systems.redis.queries.identity import RedisIdentity
from opscheck.systems.redis.queries.info import RedisInfo
from opscheck.systems.redis.target import RedisTarget


class OfServers(Expectation):
    """Asks the servers of a target."""

    target: RedisTarget
    """The server, or the servers of one set or cluster; each of them is judged."""


class OfInfo(OfServers):
    """Is judged by what the servers say of themselves."""

    @property
    def info(self) -> RedisInfo:
        """The question that all of them share."""
        return RedisInfo(self.target.name, finds=self.target.finds)

    def looks_at(self) -> Iterable[Query[Any]]:
        """The questions it is judged by."""
        yield self.info

    def aside(self) -> Iterable[Query[Any]]:
        """Which server answers: for the report."""
        yield RedisIdentity(self.target.name, finds=self.target.finds)

    def queries(self) -> Iterable[Query[Any]]:
        """What it is judged by, and what is asked beside it."""
        return (*self.looks_at(), *self.aside())
