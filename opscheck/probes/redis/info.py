"""Reads INFO: lines of name and value, of which every version and every service has others."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, get_args, get_type_hints

from opscheck.queries.redis.info import Database, Replica, ServerInfo

_WHOLE = re.compile(r"-?[0-9]{1,18}")
_DECIMAL = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")
_REPLICA = re.compile(r"slave[0-9]+")
_DATABASE = re.compile(r"db[0-9]+")
_LONGEST = 200


def parse_info(text: str) -> ServerInfo | None:
    """What INFO's reply says; None when it says nothing that is known of INFO."""
    said = dict(_fields(text))
    read = {name: value for name, reader in _readers().items() if (value := reader(said.get(name))) is not None}
    if not read:
        return None
    replicas = (_replica(_parts(value)) for name, value in said.items() if _REPLICA.fullmatch(name))
    return ServerInfo(**read, replicas=tuple(one for one in replicas if one), databases=_databases(text, said))


def _fields(text: str) -> Iterator[tuple[str, str]]:
    for line in text.split("\n"):  # names and values may hold what Python takes for ends of lines, too
        name, colon, value = line.partition(":")
        if colon and not line.startswith("#"):
            yield name.strip(), value.strip()[:_LONGEST]


def _databases(text: str, said: Mapping[str, str]) -> tuple[Database, ...] | None:
    if "# Keyspace" not in text:
        return None
    parts = {name: _parts(value) for name, value in said.items() if _DATABASE.fullmatch(name)}
    return tuple(
        Database(name=name, keys=_number(part.get("keys")), expires=_number(part.get("expires")))
        for name, part in parts.items()
    )


def _replica(part: Mapping[str, str]) -> Replica | None:
    if "ip" not in part or "port" not in part:  # Redis before 2.8 had another form
        return None
    host = f"[{part['ip']}]" if ":" in part["ip"] else part["ip"]
    return Replica(
        address=f"{host}:{part['port']}",
        state=part.get("state"),
        offset=_number(part.get("offset")),
        lag=_number(part.get("lag")),
    )


def _parts(value: str) -> dict[str, str]:
    """The parts of `ip=10.0.0.2,port=6379,state=online`."""
    return dict(part.partition("=")[::2] for part in value.split(","))


@cache
def _readers() -> dict[str, Callable[[str | None], Any]]:
    """How each plain field of the answer is read, by its type."""
    kinds = {name: get_args(hint)[0] for name, hint in get_type_hints(ServerInfo).items() if get_args(hint)}
    return {name: _BY_TYPE[kind] for name, kind in kinds.items() if kind in _BY_TYPE}


def _number(value: str | None) -> int | None:
    return int(value) if value is not None and _WHOLE.fullmatch(value) else None


def _decimal(value: str | None) -> float | None:
    if value is None or not _DECIMAL.fullmatch(value):
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def _flag(value: str | None) -> bool | None:
    return {"0": False, "1": True}.get(value or "")


def _word(value: str | None) -> str | None:
    return value or None


_BY_TYPE: Mapping[type, Callable[[str | None], Any]] = {int: _number, float: _decimal, bool: _flag, str: _word}
