"""That a Redis or Valkey server answers."""

from collections.abc import Iterable
from typing import Any, ClassVar

from pydantic import Field

from opscheck.core.expectation import Remediation
from opscheck.core.observation import Problem
from opscheck.core.query import Query
from opscheck.core.reachability import refutes_answering
from opscheck.core.units import Duration, Graded, PositiveCount, Severity
from opscheck.systems.redis.expectations.base import OfServers
from opscheck.systems.redis.queries.ping import RedisPing


class RedisPong(OfServers, check="redis.ping"):
    """The server says PONG, and soon. One that refuses because of its own state is a violation."""

    needs_severity = True
    # One name for each state: a command that names a state is left out of findings about another one.
    fact_names: ClassVar = {
        "server": "the server's URL, where the target has several",
        "loading": "the server's URL, while it loads its data set",
        "misconf": "the server's URL, when its last snapshot failed",
        "masterdown": "the server's URL, when it has lost its primary",
        "clusterdown": "the server's URL, when its cluster does not serve",
        "busy": "the server's URL, while a script blocks it",
        "max_clients": "the server's URL, when it takes no more clients",
        "slow": "the server's URL, when it answers late",
    }
    default_remediation = Remediation(
        summary="See what the server says of itself, then restart it or give it what it lacks",
        commands=(
            "redis-cli -u {{ url }} ping",
            "redis-cli -u {{ server }} ping",
            "redis-cli -u {{ loading }} info persistence | grep -E 'loading|async_loading'",
            "redis-cli -u {{ misconf }} info persistence | grep -E 'rdb_last_bgsave_status|aof_last_write_status'",
            "redis-cli -u {{ misconf }} config get dir  # is that disk full, gone or read-only?",
            "redis-cli -u {{ misconf }} bgsave  # once it is mended; a snapshot that works ends the refusal",
            "redis-cli -u {{ masterdown }} info replication | grep -E '^(role|master_)'",
            "redis-cli -u {{ clusterdown }} cluster info",
            "redis-cli -u {{ clusterdown }} cluster nodes | grep -E 'fail|handshake|noaddr'",
            "redis-cli -u {{ busy }} script kill  # refused when the script has written; then wait for its end",
            "redis-cli -u {{ max_clients }} client list | grep -oE ' addr=[^:]+' | sort | uniq -c | sort -rn | head",
            "redis-cli -u {{ max_clients }} config get maxclients  # both need a free place; try until one is let in",
            "redis-cli -u {{ slow }} slowlog get 10",
            "redis-cli -u {{ slow }} --latency-history -i 1",
        ),
    )

    latency: Graded[Duration] | None = None
    """How long a PING may take on an open connection; the median of the samples."""
    samples: PositiveCount = Field(default=5, le=100)
    """How many PINGs are sent, one after the other."""

    def ping(self) -> RedisPing:
        """The question it is judged by."""
        return RedisPing(self.target.name, finds=self.target.finds, samples=self.samples)

    def queries(self) -> Iterable[Query[Any]]:
        """One series of PINGs."""
        return (self.ping(),)

    def facts_ruled_out(self) -> frozenset[str]:
        """The target's URL leads to its server where it has one, and each server's own where it has several."""
        return frozenset({"server" if self.target.is_one_server else "url"})

    def no_answer(self, problem: Problem) -> Severity | None:
        """No connection, or something that is no Redis, proves it; silence does once it exceeds a latency limit."""
        return self.severity if refutes_answering(problem, self.latency) else None
