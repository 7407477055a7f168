"""The question which server answers, and as whom it is asked."""

from dataclasses import dataclass

from opscheck.core.query import Identity
from opscheck.systems.redis.queries.base import RedisQuery


@dataclass(frozen=True)
class RedisIdentity(RedisQuery[Identity], name="redis.identity"):
    """Which product answers, in which version and role. It is asked beside questions that need INFO too."""

    def commands(self) -> tuple[str, ...]:
        """INFO alone."""
        return ("info",)

    def text(self) -> str:
        """For people."""
        return "ask which server this is"
