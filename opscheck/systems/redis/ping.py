"""redis.ping: a Redis or Valkey server responds to PING."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
from pydantic import Field

from opscheck.core.observation import Problem, refutes_answering
from opscheck.core.query import Query
from opscheck.core.remedy import Former, Remedy
from opscheck.core.units import Duration, Graded, PositiveCount, Severity
from opscheck.systems.redis.servers import PASSWORD, SERVER_FACTS, OfServers, RedisQuery, Refusal, Replies, redis_cli


class PingAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """PONG, or the refusal in its place, and the durations of the round trips."""

    refusal: Refusal | None = None
    """None when each reply was PONG."""
    error: str = ""
    """The server's error message when it refused."""
    connect_s: float
    """Seconds to open the connection, with TLS and authentication where the target has them."""
    pings_s: tuple[float, ...] = ()
    """Seconds of each PING on that connection, in their order."""


@dataclass(frozen=True)
class RedisPing(RedisQuery[Replies[PingAnswer]], name="redis.ping"):
    """PING on a new connection, `samples` times."""

    samples: int = 5
    command = "ping"

    def text(self) -> str:
        """The command, and its repetitions."""
        return f"PING, {self.samples} times"


_PING = "ping"
UNREACHABLE = redis_cli("Check that the server runs and is reachable; restart it, or fix the network", _PING)
SLOW = redis_cli(
    "Find the slow commands and other causes of latency",
    _PING,
    "slowlog get 10",
    "--latency-history -i 1",
)
STATE_REMEDIES: Mapping[Refusal, Remedy] = {
    Refusal.LOADING: redis_cli(
        "Wait until the data set is loaded; if it recurs, find out why the server restarts",
        _PING,
        "info persistence | grep -E 'loading|async_loading'",
    ),
    Refusal.MISCONF: redis_cli(
        "Find out why the snapshot failed, usually the disk, and save again",
        _PING,
        "info persistence | grep -E 'rdb_last_bgsave_status|aof_last_write_status'",
        "config get dir  # is its disk full, missing or read-only?",
        "bgsave  # once the cause is fixed; a successful snapshot ends the refusal",
    ),
    Refusal.MASTERDOWN: redis_cli(
        "Restore the primary, or the network to it",
        _PING,
        "info replication | grep -E '^(role|master_)'",
    ),
    Refusal.CLUSTERDOWN: redis_cli(
        "Restart the failed nodes, or replace them",
        _PING,
        "cluster info",
        "cluster nodes | grep -E 'fail|handshake|noaddr'",
    ),
    Refusal.BUSY: redis_cli(
        "Kill the script that blocks the server, and make it shorter",
        _PING,
        "script kill  # refused once the script has written: then wait for its end",
    ),
    Refusal.MAX_CLIENTS: redis_cli(
        "Find the client that leaks connections and restart it, or raise maxclients",
        _PING,
        "client list | grep -oE ' addr=[^:]+' | sort | uniq -c | sort -rn | head",
        "config get maxclients  # both need a free connection: retry until accepted",
    ),
    Refusal.OTHER: redis_cli("Read the server's error message, fix its cause, or restart the server", _PING),
}


class RedisPong(OfServers, check="redis.ping"):
    """
    Redis responds to PING within the latency limit.

    A refusal because of the server's own state, such as LOADING or MISCONF, is a violation. A missing permission is
    unknown.
    """

    needs_severity = True
    remedies = (PASSWORD, UNREACHABLE, *STATE_REMEDIES.values(), SLOW)
    no_answer_remedies = (UNREACHABLE,)
    fact_names: ClassVar = {
        "url": "the server's URL; with one server, the url of the target",
        **SERVER_FACTS,
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
    """Maximum latency of a PING on an open connection: the median of the samples."""
    samples: PositiveCount = Field(default=5, le=100)
    """Number of PINGs, sent one after the other."""

    def ping(self) -> RedisPing:
        """The query it is judged by."""
        return self.query(RedisPing, samples=self.samples)

    def queries(self) -> Iterable[Query[Any]]:
        """One series of PINGs."""
        return (self.ping(),)

    def no_answer(self, problem: Problem) -> Severity | None:
        """`severity` for no connection or another protocol, and for no answer within the latency limit."""
        return self.severity if refutes_answering(problem, self.latency) else None
