"""redis.replication: the primary, its replicas, and clusters of Redis and Valkey servers."""

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
from opscheck.systems.redis.servers import PASSWORD, SERVER_FACTS, RedisQuery, Replies, redis_cli

_HOST_AND_PORT = only(
    lambda address: address.rpartition(":")[0] and address.rpartition(":")[2].isdigit() and "://" not in address,
    "host_and_port",
    "host:port, such as 10.0.0.2:6379",
)


class ClusterState(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of CLUSTER INFO, under their own names; None where it does not report them."""

    cluster_state: str | None = None
    cluster_slots_assigned: int | None = None
    cluster_slots_pfail: int | None = None
    cluster_slots_fail: int | None = None


@dataclass(frozen=True)
class RedisCluster(RedisQuery[Replies[ClusterState]], name="redis.cluster"):
    """CLUSTER INFO, from each node: their views may differ."""

    command = "cluster|info"


MISPLACED = redis_cli(
    "Fail over to the right primary with the sentinel or operator in charge",
    "info replication | grep -E '^(role|master_|connected_slaves)'",
)
LONELY = redis_cli(
    "Restart the missing replicas, or replace them",
    "info replication | grep -E '^(connected_slaves|slave[0-9])'",
    "config get logfile  # the log has requests of replicas, and refusals",
)
TRAILING = redis_cli(
    "Find out why the replica or its network is slow",
    "info replication | grep -E '^(slave[0-9]|master_repl_offset|repl_backlog)'",
    "config get client-output-buffer-limit  # a replica over it is disconnected",
)
CUT_OFF = redis_cli(
    "Restore the link to its primary",
    "info replication | grep -E '^(role|master_)'",
    "config get logfile  # the log has the reason: password, name, firewall",
)
TWO_PRIMARIES = Remedy(
    "Find the primary that clients write to, keep it, and demote the other with the sentinel or operator",
    "redis-cli {{ first_connection }} info replication",
    "redis-cli {{ second_connection }} info replication  # which one do clients write to?",
)
LEADERLESS = redis_cli(
    "Restart the primary, or promote a replica with the sentinel or operator",
    "info replication | grep -E '^(role|master_)'",
)
BROKEN_CLUSTER = redis_cli(
    "Restart the failed nodes, or replace them",
    "cluster info",
    "cluster nodes | grep -E 'fail|handshake|noaddr'",
)


class RedisReplication(OfInfo, check="redis.replication"):
    """
    There is one primary, and its replicas are connected and in sync.

    A primary must have the expected replicas, and a replica a link to its primary. Of several servers that are not a
    cluster, exactly one must be the primary: two are a split brain, where one loses its writes, and always P0. A
    cluster in another state than `ok` is P0 too.
    """

    needs_severity = True
    remedies = (PASSWORD, MISPLACED, LONELY, TRAILING, CUT_OFF, TWO_PRIMARIES, LEADERLESS, BROKEN_CLUSTER)
    fact_names: ClassVar = {
        **SERVER_FACTS,
        "first_primary": "the URL of one of two primaries",
        "second_primary": "the URL of the other",
        "first_connection": "the options of redis-cli that connect to one of two primaries",
        "second_connection": "the options of redis-cli that connect to the other",
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
    """Expected role of each server."""
    replicas: CountLeft | None = None
    """Minimum number of online replicas of a primary; in a cluster, of each primary."""
    replica_addresses: tuple[Annotated[str, _HOST_AND_PORT], ...] = ()
    """Required replicas of a primary, as IP:port like in its INFO."""
    lag: Graded[Duration] | None = None
    """Maximum replication lag: time since the last acknowledgement of a replica, or the last data from its primary."""
    behind: Graded[ByteSize] | None = None
    """Maximum difference of the replication offsets of a replica and its primary."""
    cluster: bool = False
    """True for a Redis Cluster: its state must be `ok`, with every slot served."""

    @property
    def has_one_primary(self) -> bool:
        """True when the servers are one replication set, with one primary."""
        return not (self.target.is_one_server or self.target.nodes == "cluster" or self.cluster or self.role)

    def queries(self) -> Iterable[Query[Any]]:
        """INFO, and CLUSTER INFO where a cluster is expected."""
        yield self.info
        if self.cluster:
            yield self.query(RedisCluster)

    @model_validator(mode="after")
    def _expects_something_that_it_can_know(self) -> Self:
        if not (self.role or self.replicas or self.replica_addresses or self.cluster or self.has_one_primary):
            raise PydanticCustomError(
                "limit_missing",
                "`role`, `replicas`, `replica_addresses` or `cluster`; a single server has nothing else to judge",
            )
        if self.role == "replica" and self.target.is_one_server and self.behind and not self.replicas:
            raise PydanticCustomError("limit_unused", "no `behind` for a single replica: only its primary reports it")
        if self.role == "primary" and (self.behind or self.lag) and not (self.replicas or self.replica_addresses):
            raise PydanticCustomError("limit_missing", "`replicas`: `lag` and `behind` need at least one")
        return self
