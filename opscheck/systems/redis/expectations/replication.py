"""What can be expected of Redis and Valkey servers that belong together."""

from collections.abc import Iterable
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from opscheck.core.expectation import Remediation
from opscheck.core.limits import CountLeft
from opscheck.core.query import Query
from opscheck.core.units import ByteSize, Duration, Graded
from opscheck.systems.redis.expectations.base import OfInfo
from opscheck.systems.redis.queries.cluster import RedisCluster


class RedisReplication(OfInfo, check="redis.replication"):
    """
    Every server has the role it should have, and the replicas follow.

    A primary must have the replicas that the policy expects, and a replica must have a link to its primary. Of several
    servers that are no cluster exactly one is the primary; two are a split brain, of which one will lose its writes,
    and always P0. A cluster that does not serve is P0 too.
    """

    needs_severity = True
    # One name for each state: a command that names a state is left out of findings about another one.
    fact_names: ClassVar = {
        "misplaced": "the server's URL, when it has another role",
        "lonely": "the server's URL, when it has too few replicas, or not those it should have",
        "trailing": "the primary's URL, when a replica is behind",
        "cut_off": "the server's URL, when it is a replica without a link",
        "first_primary": "the URL of one of two primaries",
        "second_primary": "the URL of the other",
        "leaderless": "the URL of a server, when none of them is the primary",
        "broken_cluster": "the server's URL, when its cluster is not whole",
    }
    default_remediation = Remediation(
        summary="Bring the link back; a role is changed by whoever is in charge of it, a sentinel or an operator",
        commands=(
            "redis-cli -u {{ misplaced }} info replication | grep -E '^(role|master_|connected_slaves)'",
            "redis-cli -u {{ lonely }} info replication | grep -E '^(connected_slaves|slave[0-9])'",
            "redis-cli -u {{ lonely }} config get logfile  # it says who asked to follow, and why not",
            "redis-cli -u {{ trailing }} info replication | grep -E '^(slave[0-9]|master_repl_offset|repl_backlog)'",
            "redis-cli -u {{ trailing }} config get client-output-buffer-limit  # a replica over it is cut off",
            "redis-cli -u {{ cut_off }} info replication | grep -E '^(role|master_)'",
            "redis-cli -u {{ cut_off }} config get logfile  # it says why: a password, a name, a firewall",
            "redis-cli -u {{ first_primary }} info replication",
            "redis-cli -u {{ second_primary }} info replication  # which of them do the clients write to?",
            "redis-cli -u {{ leaderless }} info replication | grep -E '^(role|master_)'",
            "redis-cli -u {{ broken_cluster }} cluster info",
            "redis-cli -u {{ broken_cluster }} cluster nodes | grep -E 'fail|handshake|noaddr'",
        ),
    )

    role: Literal["primary", "replica"] | None = None
    """What each of the servers must be."""
    replicas: CountLeft | None = None
    """How many replicas that are online a primary must have; in a cluster each of its primaries."""
    replica_addresses: tuple[str, ...] = ()
    """Replicas that a primary must have, as host:port in its INFO, which has numbers for hosts."""
    lag: Graded[Duration] | None = None
    """How long ago a replica may have said what it has, or heard from its primary."""
    behind: Graded[ByteSize] | None = None
    """How much of what its primary wrote a replica may lack."""
    cluster: bool = False
    """True where they are a cluster: it must serve, every slot of it."""

    @property
    def cluster_state(self) -> RedisCluster:
        """The question how each server sees its cluster."""
        return RedisCluster(self.target.name, finds=self.target.finds)

    @property
    def has_one_primary(self) -> bool:
        """Whether the servers are one set, of which one is the primary."""
        return not (self.target.is_one_server or self.target.nodes == "cluster" or self.cluster or self.role)

    def looks_at(self) -> Iterable[Query[Any]]:
        """INFO, and how a cluster is where there should be one."""
        yield self.info
        if self.cluster:
            yield self.cluster_state

    @model_validator(mode="after")
    def _expects_something(self) -> Self:
        if not (self.role or self.replicas or self.replica_addresses or self.cluster or self.has_one_primary):
            raise PydanticCustomError(
                "limit_missing",
                "`role`, `replicas`, `replica_addresses` or `cluster`; a server alone is well without them",
            )
        return self

    @model_validator(mode="after")
    def _knows_how_far_behind(self) -> Self:
        if self.role == "replica" and self.target.is_one_server and self.behind and not self.replicas:
            raise PydanticCustomError("limit_unused", "no `behind` of a replica alone: its primary knows it")
        if self.role == "primary" and (self.behind or self.lag) and not (self.replicas or self.replica_addresses):
            raise PydanticCustomError("limit_missing", "`replicas`: without one there is none that lags")
        return self
