"""The messages between the process that starts a drill and the one that runs it: one line of JSON each."""

import time
from contextlib import suppress
from typing import Any, BinaryIO

import msgspec
from pydantic import SecretStr

from opscheck.core.observation import Problem
from opscheck.core.registry import Registry
from opscheck.core.target import Target
from opscheck.systems.recovery.drill_record import Drill, PerformDrill
from opscheck.systems.recovery.target import DrillPlace


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """The input of a drill. It goes through a pipe, because it contains secrets."""

    query: PerformDrill
    place: dict[str, Any]
    """The DrillPlace, with its secrets."""
    folder: str
    """The drill's own folder, which contains all files that it writes on this machine."""
    database: str
    """The name of its database on a scratch server."""

    def drill_place(self) -> DrillPlace:
        """The place of the drill."""
        stated = dict(self.place)
        store = _target(stated.pop("store"))
        scratch = stated.pop("scratch", None)
        return DrillPlace(**stated, store=store, scratch=_target(scratch) if scratch else None)


class Began(msgspec.Struct, frozen=True, kw_only=True, tag="began"):
    """A phase begins."""

    phase: str
    what: str
    """The phase in words: `fetching database/x.dump`."""
    total: float | None = None
    """Its size in bytes, if known."""


class Did(msgspec.Struct, frozen=True, kw_only=True, tag="did"):
    """The bytes of the phase that are done so far."""

    size: float


class Made(msgspec.Struct, frozen=True, kw_only=True, tag="made"):
    """The database on the scratch server is about to be created: from now on it may have to be dropped."""

    database: str


class Done(msgspec.Struct, frozen=True, kw_only=True, tag="done"):
    """The drill is over, and everything that it made is removed."""

    drill: Drill


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag="refused"):
    """The drill could not run, and everything that it made is removed."""

    problem: Problem


Message = Began | Did | Made | Done | Refused


def task(query: PerformDrill, place: DrillPlace, folder: str, database: str) -> Task:
    """The task for the drill's process."""
    stated = place.model_dump(exclude={"store", "scratch", "name"})
    for role in ("store", "scratch"):
        target: Target | None = getattr(place, role)
        if target is not None:
            stated[role] = {**target.model_dump(exclude={"timeout", "concurrency"}), "name": target.name}
    return Task(query=query, place=revealed(stated), folder=folder, database=database)


def revealed(value: Any) -> Any:
    """The value with its secrets as plain text."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, dict):
        return {name: revealed(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [revealed(one) for one in value]
    return float(value) if isinstance(value, float) else value


def _target(stated: dict[str, Any]) -> Any:
    kind = Registry.bundled().target_type(stated["kind"])
    assert kind is not None  # noqa: S101 - the process that wrote the message has one
    return kind.model_validate({key: value for key, value in stated.items() if key != "name"}).named(stated["name"])


def scratch_dsn(place: DrillPlace) -> str | None:
    """The DSN of the scratch server; None for the drill's own server."""
    return place.scratch.dsn.get_secret_value() if place.scratch is not None else None


_INTERVAL_S = 0.2


class ProgressWriter:
    """Writes a line per message. The watchdog notices a closed pipe."""

    def __init__(self, output: BinaryIO) -> None:
        self._output = output
        self._sent_at = 0.0

    def send(self, message: Message) -> None:
        """Write a message."""
        with suppress(OSError, ValueError):
            self._output.write(msgspec.json.encode(message) + b"\n")
            self._output.flush()

    def advance(self, size: float) -> None:
        """Report the bytes that are done, at most a few times per second."""
        if time.monotonic() - self._sent_at >= _INTERVAL_S:
            self._sent_at = time.monotonic()
            self.send(Did(size=size))
