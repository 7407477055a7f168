"""Reads INFO."""

import re
from collections.abc import Mapping

from opscheck.systems.redis.probe.fields import fields, read_fields, text_of, whole
from opscheck.systems.redis.probe.node import Node
from opscheck.systems.redis.queries.info import Database, Replica, ServerInfo

_REPLICA = re.compile(r"slave[0-9]+")
_DATABASE = re.compile(r"db[0-9]+")


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
