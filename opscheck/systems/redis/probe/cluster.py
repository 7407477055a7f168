"""Reads how a node sees its cluster, and which nodes it knows."""

from collections.abc import Iterator

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.redis.probe.fields import fields, read_fields, text_of
from opscheck.systems.redis.probe.node import Node, Refused
from opscheck.systems.redis.queries.cluster import ClusterState

_NO_CLUSTER = "ERR This instance has cluster support disabled"
_UNKNOWN = {"noaddr", "handshake"}


def read_cluster(node: Node, deadline: float) -> ClusterState:
    """The state of the cluster. Raises as `Node.say`."""
    said = text_of(_say(node, "info", deadline))
    read = read_fields(ClusterState, fields(said or ""))
    if not read:
        raise node.unreadable("cluster|info")
    return ClusterState(**read)


def read_cluster_nodes(node: Node, deadline: float) -> list[tuple[str, int]]:
    """Host and port of each node of the cluster that has an address. Raises as `Node.say`."""
    said = text_of(_say(node, "nodes", deadline))
    if said is None or not said.strip():
        raise node.unreadable("cluster|nodes")
    return list(_nodes(said, node))


def _say(node: Node, what: str, deadline: float) -> object:
    try:
        return node.say(f"cluster|{what}", "CLUSTER", what.upper(), deadline=deadline)
    except Refused as refused:
        if not refused.error.startswith(_NO_CLUSTER):
            raise
        text = f"{node.place} is no node of a cluster"
        advice = "take `nodes: cluster` from the target, and `cluster` from the expectation, or name a node of it"
        raise ProbeError(ProblemKind.UNSUPPORTED, text, advice) from refused


def _nodes(text: str, node: Node) -> Iterator[tuple[str, int]]:
    """Lines of `id 10.0.0.1:6379@16379,hostname flags …`; the host of the node that answers may be empty."""
    for line in text.split("\n"):
        words = line.split()
        if len(words) < 3 or _UNKNOWN & set(words[2].split(",")):  # noqa: PLR2004 - up to the flags
            continue
        host, _, port = words[1].partition("@")[0].partition(",")[0].rpartition(":")
        if port.isascii() and port.isdigit() and 0 < int(port) < 65536:  # noqa: PLR2004 - all ports
            yield host.strip("[]") or node.place.host, int(port)
