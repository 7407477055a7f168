"""What CLUSTER INFO tells of a cluster."""

from collections.abc import Iterator

from opscheck.systems.redis.queries.cluster import ClusterState
from opscheck.systems.redis.readings.replication import Fault
from opscheck.systems.redis.readings.servers import Server

_SLOTS = 16384


def serves(server: Server[ClusterState]) -> bool:
    """Whether the cluster serves, as this node sees it. Raises CouldNotObserve where it does not say."""
    return server.known(server.answer.cluster_state, "cluster_state") == "ok"


def slot_faults(server: Server[ClusterState]) -> Iterator[Fault]:
    """Slots that nobody has, or whose node is thought to be gone. Raises CouldNotObserve where it does not say."""
    state = server.answer
    assigned = server.known(state.cluster_slots_assigned, "cluster_slots_assigned")
    if assigned < _SLOTS:
        yield Fault(f"{_SLOTS - assigned} slots belong to no node", f"{_SLOTS} slots assigned")
    failing = server.known(state.cluster_slots_fail, "cluster_slots_fail")
    if failing:
        yield Fault(f"the nodes of {failing} slots have failed", "none")
    suspected = server.known(state.cluster_slots_pfail, "cluster_slots_pfail")
    if suspected:
        yield Fault(f"the nodes of {suspected} slots do not answer this one", "none")
