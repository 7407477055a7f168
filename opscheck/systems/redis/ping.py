"""redis.ping: a Redis or Valkey server answers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
from pydantic import Field

from opscheck.core.observation import Problem, refutes_answering
from opscheck.core.query import Query
from opscheck.core.remedy import Former, Remedy
from opscheck.core.units import Duration, Graded, PositiveCount, Severity
from opscheck.systems.redis.servers import OfServers, RedisQuery, Refusal, Replies


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
    command = "ping"

    def text(self) -> str:
        """As typed to the server."""
        return f"PING, {self.samples} times"


_PING = "redis-cli -u {{ url }} ping"
UNREACHABLE = Remedy("See whether the server runs and can be reached, then restart it or open the way to it", _PING)
SLOW = Remedy(
    "Find the commands that take long, and what else slows the server down",
    _PING,
    "redis-cli -u {{ server }} slowlog get 10",
    "redis-cli -u {{ server }} --latency-history -i 1",
)
STATE_REMEDIES: Mapping[Refusal, Remedy] = {
    Refusal.LOADING: Remedy(
        "Wait until the data set is loaded; if this comes back, find out why the server restarts",
        _PING,
        "redis-cli -u {{ server }} info persistence | grep -E 'loading|async_loading'",
    ),
    Refusal.MISCONF: Remedy(
        "Find out why the snapshot failed, mostly the disk, and save again",
        _PING,
        "redis-cli -u {{ server }} info persistence | grep -E 'rdb_last_bgsave_status|aof_last_write_status'",
        "redis-cli -u {{ server }} config get dir  # is that disk full, gone or read-only?",
        "redis-cli -u {{ server }} bgsave  # once it is mended; a snapshot that works ends the refusal",
    ),
    Refusal.MASTERDOWN: Remedy(
        "Bring the primary back, or the network between the two",
        _PING,
        "redis-cli -u {{ server }} info replication | grep -E '^(role|master_)'",
    ),
    Refusal.CLUSTERDOWN: Remedy(
        "Bring back the nodes that are gone, or replace them",
        _PING,
        "redis-cli -u {{ server }} cluster info",
        "redis-cli -u {{ server }} cluster nodes | grep -E 'fail|handshake|noaddr'",
    ),
    Refusal.BUSY: Remedy(
        "End the script that blocks the server, and make it shorter",
        _PING,
        "redis-cli -u {{ server }} script kill  # refused when the script has written; then wait for its end",
    ),
    Refusal.MAX_CLIENTS: Remedy(
        "Find the client that leaks connections and restart it, or raise maxclients",
        _PING,
        "redis-cli -u {{ server }} client list | grep -oE ' addr=[^:]+' | sort | uniq -c | sort -rn | head",
        "redis-cli -u {{ server }} config get maxclients  # both need a free place; try until one is let in",
    ),
    Refusal.OTHER: Remedy("See what the server answers, then restart it or give it what it lacks", _PING),
}


class RedisPong(OfServers, check="redis.ping"):
    """
    Redis responds to PING within the latency limit.

    A refusal because of the server's own state, such as LOADING or MISCONF, is a violation. A missing permission is
    unknown.
    """

    needs_severity = True
    remedies = (UNREACHABLE, *STATE_REMEDIES.values(), SLOW)
    no_answer_remedies = (UNREACHABLE,)
    fact_names: ClassVar = {
        "url": "the server's URL; of a target that is one server its own",
        "server": "the server's URL without credentials",
    }
    former_fact_names: ClassVar = {
        "loading": Former("server", STATE_REMEDIES[Refusal.LOADING]),
        "misconf": Former("server", STATE_REMEDIES[Refusal.MISCONF]),
        "masterdown": Former("server", STATE_REMEDIES[Refusal.MASTERDOWN]),
        "clusterdown": Former("server", STATE_REMEDIES[Refusal.CLUSTERDOWN]),
        "busy": Former("server", STATE_REMEDIES[Refusal.BUSY]),
        "max_clients": Former("server", STATE_REMEDIES[Refusal.MAX_CLIENTS]),
        "slow": Former("server", SLOW),
    }

    latency: Graded[Duration] | None = None
    """How long a PING may take on an open connection; the median of the samples."""
    samples: PositiveCount = Field(default=5, le=100)
    """How many PINGs are sent, one after the other."""

    def ping(self) -> RedisPing:
        """The query it is judged by."""
        return self.query(RedisPing, samples=self.samples)

    def queries(self) -> Iterable[Query[Any]]:
        """One series of PINGs."""
        return (self.ping(),)

    def no_answer(self, problem: Problem) -> Severity | None:
        """No connection or another protocol proves it; silence does once it exceeds a latency limit."""
        return self.severity if refutes_answering(problem, self.latency) else None
