"""What INFO tells of a server's clients."""

from dataclasses import dataclass

from opscheck.core.units import Percentage
from opscheck.systems.redis.queries.info import ServerInfo
from opscheck.systems.redis.readings.servers import Server


@dataclass(frozen=True)
class Places:
    """The places that a server has for clients."""

    used: int
    limit: int
    detail: str

    @property
    def share(self) -> Percentage:
        """The used part in percent; a limit of 0 is used up."""
        return Percentage(100.0 * self.used / self.limit if self.limit > 0 else 100.0)

    @property
    def free(self) -> int:
        """How many more are let in."""
        return max(0, self.limit - self.used)


def places(server: Server[ServerInfo]) -> Places:
    """How many places are taken. Raises CouldNotObserve where the server does not say."""
    info = server.answer
    limit = server.known(info.maxclients, "maxclients")
    clients = server.known(info.connected_clients, "connected_clients")
    # connected_clients leaves out replicas, which maxclients counts.
    replicas, cluster = info.connected_slaves or 0, info.cluster_connections or 0
    others = [f"{replicas} replicas"] * (replicas > 0) + [f"{cluster} connections of the cluster"] * (cluster > 0)
    used = clients + replicas + cluster
    return Places(used, limit, ", ".join([f"{used} of {limit}", *others]))
