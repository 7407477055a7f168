"""Discovery of servers that a target's URL does not name: by sentinels, in a cluster, from a primary."""

import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.redis.probe.address import SENTINEL_PORT, Address, addresses
from opscheck.systems.redis.probe.node import Node, of_each
from opscheck.systems.redis.probe.readers import read_cluster_nodes, read_info
from opscheck.systems.redis.target import RedisTarget
from opscheck.transport.connect import trust

_HostAndPort = tuple[str, int]

# Share of the time limit for discovery; the rest is for connecting.
_SHARE = 0.6


def find_nodes(target: RedisTarget, timeout_s: float) -> list[Node]:
    """The servers of a target. Raises ProbeError when discovery finds none."""
    url = target.url.get_secret_value()
    if target.sentinel is not None:
        return _watched(target, addresses(url, SENTINEL_PORT), timeout_s * _SHARE)
    seeds = [_node(target, address) for address in addresses(url)]
    if target.nodes == "named":
        return seeds
    if target.nodes == "cluster":
        found = _found(seeds, read_cluster_nodes, timeout_s * _SHARE)
    else:
        named = [(seed.address.host, seed.address.port) for seed in seeds]
        found = [*named, *_found(seeds, _replicas, timeout_s * _SHARE)]
    return _nodes(target, seeds[0].address, found) or seeds


def _watched(target: RedisTarget, sentinels: Sequence[Address], timeout_s: float) -> list[Node]:
    """The servers that sentinels report. Where they disagree on the primary, each of those is queried and reported."""
    user, _, password = (target.sentinel_login.get_secret_value() if target.sentinel_login else "").partition(":")
    own = [replace(one, user=user, password=password) for one in sentinels]
    asked = [replace(_node(target, one), credentials="the target's sentinel_login") for one in own]
    found = _found(asked, lambda node, deadline: _ask_sentinel(target, node, deadline), timeout_s)
    if not found:
        text = f"no sentinel reports a primary named {target.sentinel}"
        advice = "check the target's `sentinel` against `sentinel monitor`, and that `url` names sentinels"
        raise ProbeError(ProblemKind.UNSUPPORTED, text, advice, target_down=True)
    return _nodes(target, sentinels[0], found)


def _ask_sentinel(target: RedisTarget, node: Node, deadline: float) -> list[_HostAndPort]:
    name = str(target.sentinel)
    primary = node.say("sentinel|get-master-addr-by-name", name, deadline=deadline)
    if primary is None:
        return []
    if not isinstance(primary, list):
        raise node.unreadable("sentinel|get-master-addr-by-name")
    found = list(_addresses([primary]))
    if found and target.nodes == "replicas":
        replicas = node.say("sentinel|replicas", name, deadline=deadline)
        if not isinstance(replicas, list):
            raise node.unreadable("sentinel|replicas")
        found += _addresses(_host_and_port(one) for one in replicas)
    return found


def _host_and_port(fields: Any) -> list[Any]:
    """Two values of a list of names and values."""
    pairs = dict(zip(fields[::2], fields[1::2], strict=False)) if isinstance(fields, list) else {}
    return [pairs.get(b"ip"), pairs.get(b"port")]


def _addresses(found: Iterable[list[Any]]) -> Iterator[_HostAndPort]:
    for one in found:
        match one:
            case [bytes(host), bytes(port)] if port.isdigit() and 0 < int(port) < 65536:  # noqa: PLR2004 - all ports
                yield host.decode("utf-8", "replace"), int(port)


def _replicas(node: Node, deadline: float) -> list[_HostAndPort]:
    """The connected replicas of a primary; a replica without a link is not among them."""
    pairs = (replica.address.rpartition(":")[::2] for replica in read_info(node, deadline).replicas)
    return [(host.strip("[]"), int(port)) for host, port in pairs if port.isascii() and port.isdigit()]


def _found(
    nodes: Sequence[Node], ask: Callable[[Node, float], list[_HostAndPort]], timeout_s: float
) -> list[_HostAndPort]:
    """The addresses that any of these servers reports. Raises ProbeError without an answer."""
    return [address for reply in of_each(nodes, ask, timeout_s) for address in reply.answer or []]


def _nodes(target: RedisTarget, like: Address, found: Iterable[_HostAndPort]) -> list[Node]:
    """A node for each address, once, even when a host name and an IP address are the same server."""
    distinct = {(_number(host), port): (host, port) for host, port in reversed(list(found))}
    return [_node(target, replace(like, host=host, port=port, path="")) for host, port in reversed(distinct.values())]


def _number(host: str) -> str:
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except (OSError, UnicodeError):
        return host


def _node(target: RedisTarget, address: Address) -> Node:
    return Node(address, trust(target.ca_file, target.client_certificate) if address.tls else None)
