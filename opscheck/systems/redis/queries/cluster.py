"""The question how a server sees its cluster."""

from dataclasses import dataclass

import msgspec

from opscheck.systems.redis.queries.base import RedisQuery, Replies


class ClusterState(msgspec.Struct, frozen=True, kw_only=True):
    """What CLUSTER INFO says, by the names that it has there; None where it does not say it."""

    cluster_state: str | None = None
    cluster_slots_assigned: int | None = None
    cluster_slots_pfail: int | None = None
    cluster_slots_fail: int | None = None


@dataclass(frozen=True)
class RedisCluster(RedisQuery[Replies[ClusterState]], name="redis.cluster"):
    """CLUSTER INFO, from each node: they may see different things."""

    def commands(self) -> tuple[str, ...]:
        """CLUSTER INFO alone."""
        return ("cluster|info",)

    def text(self) -> str:
        """As typed to the server."""
        return "CLUSTER INFO"
