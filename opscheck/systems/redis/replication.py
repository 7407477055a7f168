"""redis.replication: Redis and Valkey servers that belong together have one primary, and its replicas follow."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

import msgspec
from pydantic import model_validator
from pydantic_core import PydanticCustomError

from opscheck.core.field_types import CountLeft, only
from opscheck.core.query import Query
from opscheck.core.remedy import Former, Remedy
from opscheck.core.units import ByteSize, Duration, Graded
from opscheck.systems.redis.info import OfInfo
from opscheck.systems.redis.servers import RedisQuery, Replies

_HOST_AND_PORT = only(
    lambda address: address.rpartition(":")[0] and address.rpartition(":")[2].isdigit() and "://" not in address,
    "host_and_port",
    "host:port, such as 10.0.0.2:6379",
)


class ClusterState(msgspec.Struct, frozen=True, kw_only=True):
    """What CLUSTER INFO says, by the names that it has there; None where it does not say it."""

    cluster_state: str | None = None
    cluster_slots_assigned: int | None = None
    cluster_slots_pfail: int | None = None
    cluster_slots_fail: int | None = None


@dataclass(frozen=True)
class RedisCluster(RedisQuery[Replies[ClusterState]], name="redis.cluster"):
    """CLUSTER INFO, from each node: they may see different things."""

    command = "cluster|info"


MISPLACED = Remedy(
    "Let the sentinel or operator in charge change its role back",
    "redis-cli -u {{ server }} info replication | grep -E '^(role|master_|connected_slaves)'",
)
LONELY = Remedy(
    "Bring back the replicas that are gone, or replace them",
    "redis-cli -u {{ server }} info replication | grep -E '^(connected_slaves|slave[0-9])'",
    "redis-cli -u {{ server }} config get logfile  # it says who asked to follow, and why not",
)
TRAILING = Remedy(
    "Find out what slows the replica or its network down",
    "redis-cli -u {{ server }} info replication | grep -E '^(slave[0-9]|master_repl_offset|repl_backlog)'",
    "redis-cli -u {{ server }} config get client-output-buffer-limit  # a replica over it is cut off",
)
CUT_OFF = Remedy(
    "Bring back the link to its primary",
    "redis-cli -u {{ server }} info replication | grep -E '^(role|master_)'",
    "redis-cli -u {{ server }} config get logfile  # it says why: a password, a name, a firewall",
)
TWO_PRIMARIES = Remedy(
    "Find out which primary the clients write to, keep that one, and let the sentinel or operator demote the other",
    "redis-cli -u {{ first_primary }} info replication",
    "redis-cli -u {{ second_primary }} info replication  # which of them do the clients write to?",
)
LEADERLESS = Remedy(
    "Bring the primary back, or let the sentinel or operator promote a replica",
    "redis-cli -u {{ server }} info replication | grep -E '^(role|master_)'",
)
BROKEN_CLUSTER = Remedy(
    "Bring back the nodes that are gone, or replace them",
    "redis-cli -u {{ server }} cluster info",
    "redis-cli -u {{ server }} cluster nodes | grep -E 'fail|handshake|noaddr'",
)


class RedisReplication(OfInfo, check="redis.replication"):
    """
    There is one primary, and its replicas are connected and in sync.

    A primary must have the replicas that the policy expects, and a replica must have a link to its primary. Of several
    servers that are no cluster exactly one is the primary; two are a split brain, of which one will lose its writes,
    and always P0. A cluster that does not serve is P0 too.
    """

    needs_severity = True
    remedies = (MISPLACED, LONELY, TRAILING, CUT_OFF, TWO_PRIMARIES, LEADERLESS, BROKEN_CLUSTER)
    fact_names: ClassVar = {
        "server": "the server's URL without credentials; of a replica that is behind, its primary's",
        "first_primary": "the URL of one of two primaries",
        "second_primary": "the URL of the other",
    }
    former_fact_names: ClassVar = {
        "misplaced": Former("server", MISPLACED),
        "lonely": Former("server", LONELY),
        "trailing": Former("server", TRAILING),
        "cut_off": Former("server", CUT_OFF),
        "leaderless": Former("server", LEADERLESS),
        "broken_cluster": Former("server", BROKEN_CLUSTER),
    }

    role: Literal["primary", "replica"] | None = None
    """What each of the servers must be."""
    replicas: CountLeft | None = None
    """How many replicas that are online a primary must have; in a cluster each of its primaries."""
    replica_addresses: tuple[Annotated[str, _HOST_AND_PORT], ...] = ()
    """Replicas that a primary must have, as host:port in its INFO, which has numbers for hosts."""
    lag: Graded[Duration] | None = None
    """How long ago a replica may have said what it has, or heard from its primary."""
    behind: Graded[ByteSize] | None = None
    """How much of what its primary wrote a replica may lack."""
    cluster: bool = False
    """True where they are a cluster: it must serve, every slot of it."""

    @property
    def has_one_primary(self) -> bool:
        """Whether the servers are one set, of which one is the primary."""
        return not (self.target.is_one_server or self.target.nodes == "cluster" or self.cluster or self.role)

    def queries(self) -> Iterable[Query[Any]]:
        """INFO, and how a cluster is where there should be one."""
        yield self.info
        if self.cluster:
            yield self.query(RedisCluster)

    @model_validator(mode="after")
    def _expects_something_that_it_can_know(self) -> Self:
        if not (self.role or self.replicas or self.replica_addresses or self.cluster or self.has_one_primary):
            raise PydanticCustomError(
                "limit_missing",
                "`role`, `replicas`, `replica_addresses` or `cluster`; a server alone is well without them",
            )
        if self.role == "replica" and self.target.is_one_server and self.behind and not self.replicas:
            raise PydanticCustomError("limit_unused", "no `behind` of a replica alone: its primary knows it")
        if self.role == "primary" and (self.behind or self.lag) and not (self.replicas or self.replica_addresses):
            raise PydanticCustomError("limit_missing", "`replicas`: without one there is none that lags")
        return self
