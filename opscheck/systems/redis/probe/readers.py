"""Parsers of the replies to INFO, CLUSTER and SLOWLOG. Arguments in the slow log are discarded here."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, get_args, get_type_hints

import msgspec

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.query import Identity
from opscheck.systems.redis.cache import LONGEST_LOG, SLOWER_THAN, SlowCommand, SlowerThan, SlowLog
from opscheck.systems.redis.info import Database, Replica, ServerInfo
from opscheck.systems.redis.probe.client import Refused
from opscheck.systems.redis.probe.node import Node, of_each
from opscheck.systems.redis.replication import ClusterState

_REPLICA = re.compile(r"slave[0-9]+")
_DATABASE = re.compile(r"db[0-9]+")
_ROLES = {True: "primary", False: "replica", None: "role unknown"}
_NO_CLUSTER = "ERR This instance has cluster support disabled"
_UNKNOWN = {"noaddr", "handshake"}
_COMMAND = re.compile(rb"[A-Za-z][A-Za-z0-9._-]{0,39}")
_LAST_TIME = 253_402_300_799  # of the year 9999
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_DECIMAL = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")
_LONGEST = 200


def read_info(node: Node, deadline: float) -> ServerInfo:
    """INFO of a server. Raises as `Node.say`."""
    info = parse_info(_text(node.say("info", deadline=deadline)))
    if info is None:
        raise node.unreadable("info")
    return info


def _text(reply: object) -> str:
    """A reply as text; empty for another type."""
    return reply.decode("utf-8", "replace") if isinstance(reply, bytes) else ""


def parse_info(text: str) -> ServerInfo | None:
    """The fields of INFO's reply; None without any known field."""
    said = dict(_lines(text))
    read = _fields(ServerInfo, said)
    if not read:
        return None
    replicas = (_replica(_parts(value)) for name, value in said.items() if _REPLICA.fullmatch(name))
    return ServerInfo(**read, replicas=tuple(one for one in replicas if one), databases=_databases(text, said))


def _databases(text: str, said: Mapping[str, str]) -> tuple[Database, ...] | None:
    if "# Keyspace" not in text:
        return None
    parts = {name: _parts(value) for name, value in said.items() if _DATABASE.fullmatch(name)}
    return tuple(Database(name=name, **_fields(Database, part)) for name, part in parts.items())


def _replica(part: Mapping[str, str]) -> Replica | None:
    if "ip" not in part or "port" not in part:  # Redis before 2.8 had another form
        return None
    host = f"[{part['ip']}]" if ":" in part["ip"] else part["ip"]
    return Replica(address=f"{host}:{part['port']}", **_fields(Replica, part))


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Every line with a name and a value; they differ by version and managed service."""
    for line in text.split("\n"):  # splitlines() would also split at other characters in names and values
        name, colon, value = line.partition(":")
        if colon and not line.startswith("#"):
            yield name.strip(), value.strip()[:_LONGEST]


def _fields(kind: type[msgspec.Struct], said: Mapping[str, str]) -> dict[str, Any]:
    """The optional fields of `kind`, by name, parsed by their types; a value of another type is left out."""
    read = ((name, reader(said[name])) for name, reader in _readers(kind).items() if name in said)
    return {name: value for name, value in read if value is not None}


@cache
def _readers(kind: type[msgspec.Struct]) -> dict[str, Callable[[str], Any]]:
    kinds = {name: get_args(hint)[0] for name, hint in get_type_hints(kind).items() if get_args(hint)}
    return {name: _BY_TYPE[one] for name, one in kinds.items() if one in _BY_TYPE}


_BY_TYPE: Mapping[type, Callable[[str], Any]] = {
    int: lambda value: int(value) if _WHOLE.fullmatch(value) else None,
    float: lambda value: float(value) if _DECIMAL.fullmatch(value) else None,
    bool: {"0": False, "1": True}.get,
    str: lambda value: value or None,
}


def _parts(value: str) -> dict[str, str]:
    """The parts of `ip=10.0.0.2,port=6379,state=online`."""
    return dict(part.partition("=")[::2] for part in value.split(","))


def identity(nodes: Sequence[Node], timeout_s: float) -> Identity:
    """Product, version and role, counted for several servers. Raises ProbeError without an answer."""
    names = Counter(_name(reply.answer) for reply in of_each(nodes, read_info, timeout_s))
    counted = [name if count == 1 else f"{name} ({count})" for name, count in names.items()]
    address = nodes[0].address
    how = ["a password" if address.password else "no password"] + ["TLS"] * address.tls
    return Identity(place="; ".join(counted), user=address.user or "default", authenticated_by=" over ".join(how))


def _name(info: ServerInfo | None) -> str:
    if info is None:
        return "no answer"
    return f"{info.product or 'unknown version'}, {_ROLES[info.is_primary]}"


def read_cluster(node: Node, deadline: float) -> ClusterState:
    """The state of the cluster. Raises as `Node.say`."""
    read = _fields(ClusterState, dict(_lines(_say_cluster(node, "cluster|info", deadline))))
    if not read:
        raise node.unreadable("cluster|info")
    return ClusterState(**read)


def read_cluster_nodes(node: Node, deadline: float) -> list[tuple[str, int]]:
    """Host and port of each node of the cluster that has an address. Raises as `Node.say`."""
    said = _say_cluster(node, "cluster|nodes", deadline)
    if not said.strip():
        raise node.unreadable("cluster|nodes")
    return list(_nodes(said, node))


def _say_cluster(node: Node, command: str, deadline: float) -> str:
    try:
        return _text(node.say(command, deadline=deadline))
    except Refused as refused:
        if not refused.error.startswith(_NO_CLUSTER):
            raise
        text = f"{node.address} is not a cluster node"
        advice = "remove `nodes: cluster` from the target and `cluster` from the expectation, or name a cluster node"
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
    said = node.say("slowlog|get", str(LONGEST_LOG), deadline=deadline)
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
    """The threshold of the slow log. Raises as `Node.say`."""
    match node.say("config|get", SLOWER_THAN, deadline=deadline):
        case [_, bytes(value)] if re.fullmatch(rb"-?[0-9]{1,18}", value):
            return SlowerThan(microseconds=int(value))
    raise node.unreadable("config|get")
