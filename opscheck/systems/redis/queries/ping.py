"""The question whether a server says PONG."""

from dataclasses import dataclass

import msgspec

from opscheck.systems.redis.queries.base import RedisQuery, Refusal, Replies


class PingAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """PONG, or the refusal in its place, and how long the round trips took."""

    refusal: Refusal | None = None
    """None when the server said PONG each time."""
    error: str = ""
    """The server's own words when it refused."""
    connect_s: float
    """Seconds to open the connection, with TLS and authentication where the target has them."""
    pings_s: tuple[float, ...] = ()
    """Seconds of each PING on that connection, in their order."""


@dataclass(frozen=True)
class RedisPing(RedisQuery[Replies[PingAnswer]], name="redis.ping"):
    """PING on a fresh connection, `samples` times over."""

    samples: int = 5

    def commands(self) -> tuple[str, ...]:
        """PING alone."""
        return ("ping",)

    def text(self) -> str:
        """As typed to the server."""
        return f"PING, {self.samples} times"
