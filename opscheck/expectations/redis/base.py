"""What every expectation of Redis servers has."""

from collections.abc import Iterable
from typing import Any

from opscheck.expectations.base import Expectation
from opscheck.queries.base import Query
from opscheck.queries.redis.info import RedisInfo
from opscheck.targets import RedisTarget


class OfInfo(Expectation):
    """Is judged by what the servers say of themselves."""

    target: RedisTarget
    """The server, or the servers of one set or cluster."""

    @property
    def info(self) -> RedisInfo:
        """The question that all of them share."""
        return RedisInfo(self.target.name)

    def queries(self) -> Iterable[Query[Any]]:
        """INFO, which is asked once for all of them."""
        yield self.info
