"""The targets of restore drills, and of their records."""

from typing import Self, cast

from pydantic import BaseModel, ConfigDict, SerializeAsAny, ValidationInfo
from pydantic_core import PydanticCustomError

from opscheck.core.target import InlineTarget, Target
from opscheck.systems.postgres.target import PostgresTarget
from opscheck.systems.stores.target import StoreTarget

EMBEDDED = "embedded"
"""A policy's name for a server that the drill starts itself."""


class ScratchServer(InlineTarget):
    """The server that a drill restores into: its own, or a target of the policy."""

    noun = "`embedded`, or the name of a target of kind postgres with `scratch: true`"

    kind: str = "scratch"
    server: PostgresTarget | None = None
    """None for the drill's own server, which is removed after it."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `embedded`. Raises PydanticCustomError."""
        if text != EMBEDDED:
            raise PydanticCustomError("scratch", cls.noun)
        return cast("Self", cls.model_construct(name=EMBEDDED))

    @classmethod
    def _look_up(cls, value: object, info: ValidationInfo) -> object:
        if not isinstance(value, str) or value == EMBEDDED:
            return super()._look_up(value, info)
        server = PostgresTarget._look_up(value, info)  # noqa: SLF001 - both are targets
        if not isinstance(server, PostgresTarget):
            raise PydanticCustomError("scratch", cls.noun)
        if not server.scratch:
            raise PydanticCustomError(
                "no_scratch",
                "a target with `scratch: true`: a drill makes databases there and drops them, and {name} does not say "
                "that it may",
                {"name": value},
            )
        return cls.model_construct(name=value, server=server)


class AssertionLimits(BaseModel):
    """The first step of an assertion's limits; None for no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at_least: float | None = None
    at_most: float | None = None
    newest_within_s: float | None = None


class DrillLimits(BaseModel):
    """The limits of a passed drill: the first step of each limit of the policy."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recovered_within_s: float | None = None
    newest_within_s: float | None = None
    """The maximum age of the data, and of its newest row."""
    assertions: dict[str, AssertionLimits] = {}


class DrillPlace(Target):
    """The place of a restore drill, and its limits."""

    kind: str = "drill"
    store: SerializeAsAny[StoreTarget]
    """The store of the backup."""
    scratch: PostgresTarget | None = None
    """A server that may be changed; None for the drill's own server, which is removed after it."""
    disk_bytes: float | None = None
    """The required free disk space; None for an estimate from the backup's size."""
    record: str | None = None
    """The file for its record, a JSON document."""
    limits: DrillLimits = DrillLimits()

    @property
    def address(self) -> str:
        return f"{self.store.address} to {self.scratch.address if self.scratch else 'a server of its own'}"


class DrillRecords(Target):
    """The records of earlier drills."""

    kind: str = "drills"
    record: str | None = None
    """The JSON document of the newest drill, if the policy names one."""

    @property
    def address(self) -> str:
        return self.record or "the state file"
