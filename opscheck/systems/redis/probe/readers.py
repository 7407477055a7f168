"""Reads the replies to INFO, CLUSTER and SLOWLOG, and forgets at once what must not be kept of the slow log."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.query import Identity
from opscheck.systems.redis.cache import LONGEST_LOG, SlowCommand, SlowerThan, SlowLog
from opscheck.systems.redis.info import Database, Replica, ServerInfo
from opscheck.systems.redis.probe.fields import fields, read_fields, text_of, whole
from opscheck.systems.redis.probe.node import Node, Refused
from opscheck.systems.redis.probe.requests import of_each, raised
from opscheck.systems.redis.replication import ClusterState

_REPLICA = re.compile(r"slave[0-9]+")
_DATABASE = re.compile(r"db[0-9]+")
_ROLES = {True: "primary", False: "replica", None: "role unknown"}
_NO_CLUSTER = "ERR This instance has cluster support disabled"
_UNKNOWN = {"noaddr", "handshake"}
_COMMAND = re.compile(rb"[A-Za-z][A-Za-z0-9._-]{0,39}")
_LAST_TIME = 253_402_300_799  # of the year 9999
_SETTING = "slowlog-log-slower-than"


def read_info(node: Node, deadline: float) -> ServerInfo:
    """What a server says of itself. Raises as `Node.say`."""
    said = text_of(node.say("info", "INFO", deadline=deadline))
    info = parse_info(said or "")
    if info is None:
        raise node.unreadable("info")
    return info


def parse_info(text: str) -> ServerInfo | None:
    """What INFO's reply says; None when it says nothing that is known of INFO."""
    said = fields(text)
    read = read_fields(ServerInfo, said)
    if not read:
        return None
    replicas = (_replica(_parts(value)) for name, value in said.items() if _REPLICA.fullmatch(name))
    return ServerInfo(**read, replicas=tuple(one for one in replicas if one), databases=_databases(text, said))


def _databases(text: str, said: Mapping[str, str]) -> tuple[Database, ...] | None:
    if "# Keyspace" not in text:
        return None
    parts = {name: _parts(value) for name, value in said.items() if _DATABASE.fullmatch(name)}
    return tuple(
        Database(name=name, keys=whole(part.get("keys")), expires=whole(part.get("expires")))
        for name, part in parts.items()
    )


def _replica(part: Mapping[str, str]) -> Replica | None:
    if "ip" not in part or "port" not in part:  # Redis before 2.8 had another form
        return None
    host = f"[{part['ip']}]" if ":" in part["ip"] else part["ip"]
    return Replica(
        address=f"{host}:{part['port']}",
        state=part.get("state"),
        offset=whole(part.get("offset")),
        lag=whole(part.get("lag")),
    )


def _parts(value: str) -> dict[str, str]:
    """The parts of `ip=10.0.0.2,port=6379,state=online`."""
    return dict(part.partition("=")[::2] for part in value.split(","))


def identity(nodes: Sequence[Node], timeout_s: float) -> Identity:
    """Product, version and role, of several servers counted. Raises ProbeError when none of them answers."""
    replies = of_each(nodes, read_info, timeout_s)
    if all(reply.problem is not None for reply in replies):
        raise raised(replies)
    names = Counter(_name(reply.answer) for reply in replies)
    told = [name if count == 1 else f"{name} ({count})" for name, count in names.items()]
    address = nodes[0].address
    how = ["a password" if address.password else "no password"] + ["TLS"] * address.tls
    return Identity(place="; ".join(told), user=address.user or "default", authenticated_by=" over ".join(how))


def _name(info: ServerInfo | None) -> str:
    if info is None:
        return "no answer"
    return f"{info.product or 'unknown version'}, {_ROLES[info.is_primary]}"


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
        text = f"{node.address} is no node of a cluster"
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
            yield host.strip("[]") or node.address.host, int(port)


def read_slow_log(node: Node, deadline: float) -> SlowLog:
    """The newest entries. Raises as `Node.say`."""
    said = node.say("slowlog|get", "SLOWLOG", "GET", str(LONGEST_LOG), deadline=deadline)
    commands = tuple(_commands(said)) if isinstance(said, list) else None
    if commands is None or len(commands) < len(said):
        raise node.unreadable("slowlog|get")
    return SlowLog(commands=commands)


def _commands(entries: list[Any]) -> Iterator[SlowCommand]:
    for entry in entries:
        match entry:
            # Number, time, microseconds, words; then, from Redis 4 on, the client, which is not kept.
            case [int(), int(at), int(microseconds), [bytes(word), *_], *_] if 0 <= at <= _LAST_TIME:
                name = word.decode().upper() if _COMMAND.fullmatch(word) else "?"
                yield SlowCommand(at=at, microseconds=microseconds, command=name)


def read_slower_than(node: Node, deadline: float) -> SlowerThan:
    """What the slow log is kept of. Raises as `Node.say`."""
    match node.say("config|get", "CONFIG", "GET", _SETTING, deadline=deadline):
        case [_, bytes(value)] if re.fullmatch(rb"-?[0-9]{1,18}", value):
            return SlowerThan(microseconds=int(value))
    raise node.unreadable("config|get")
