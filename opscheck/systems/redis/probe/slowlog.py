"""Reads the slow log, and forgets at once what must not be kept of it."""

import re
from collections.abc import Iterator
from typing import Any

from opscheck.systems.redis.probe.node import Node
from opscheck.systems.redis.queries.slowlog import LONGEST_LOG, SlowCommand, SlowerThan, SlowLog

_COMMAND = re.compile(rb"[A-Za-z][A-Za-z0-9._-]{0,39}")
_LAST_TIME = 253_402_300_799  # of the year 9999
_SETTING = "slowlog-log-slower-than"


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
            # Number, time, microseconds, words; then, from Redis 4 on, the client, which is nobody's business here.
            case [int(), int(at), int(microseconds), [bytes(word), *_], *_] if 0 <= at <= _LAST_TIME:
                name = word.decode().upper() if _COMMAND.fullmatch(word) else "?"
                yield SlowCommand(at=at, microseconds=microseconds, command=name)


def read_slower_than(node: Node, deadline: float) -> SlowerThan:
    """What the slow log is kept of. Raises as `Node.say`."""
    match node.say("config|get", "CONFIG", "GET", _SETTING, deadline=deadline):
        case [_, bytes(value)] if re.fullmatch(rb"-?[0-9]{1,18}", value):
            return SlowerThan(microseconds=int(value))
    raise node.unreadable("config|get")
