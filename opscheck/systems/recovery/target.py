"""What restore drills read from and write to."""

from typing import Self, cast

from pydantic import BaseModel, ConfigDict, SerializeAsAny, ValidationInfo
from pydantic_core import PydanticCustomError

from opscheck.core.target import InlineTarget, Target
from opscheck.systems.postgres.target import PostgresTarget
from opscheck.systems.stores.target import StoreTarget

EMBEDDED = "embedded"
"""What a policy calls a server that a drill starts for itself."""


class ScratchServer(InlineTarget):
    """Where a restore drill restores: a server of its own, or one of the policy's."""

    noun = "`embedded`, or the name of a target of kind postgres with `scratch: true`"

    kind: str = "scratch"
    server: PostgresTarget | None = None
    """None is a server of the drill's own, which is gone after it."""

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
    """What an assertion may yield at the mildest; what is None is not limited."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at_least: float | None = None
    at_most: float | None = None
    newest_within_s: float | None = None


class DrillLimits(BaseModel):
    """What a drill must keep to have passed: the mildest of each of the policy's limits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recovered_within_s: float | None = None
    newest_within_s: float | None = None
    """How old the data may be, and its newest row."""
    assertions: dict[str, AssertionLimits] = {}


class DrillPlace(Target):
    """Where a restore drill is done, and what it must keep."""

    kind: str = "drill"
    store: SerializeAsAny[StoreTarget]
    """Where the backup comes from."""
    scratch: PostgresTarget | None = None
    """A server that may be written to; None is one of the drill's own, which is gone after it."""
    disk_bytes: float | None = None
    """How much must be free before it starts; None is estimated from the backup's size."""
    record: str | None = None
    """Where its record is written as a JSON document."""
    limits: DrillLimits = DrillLimits()

    @property
    def address(self) -> str:
        return f"{self.store.address} to {self.scratch.address if self.scratch else 'a server of its own'}"


class DrillRecords(Target):
    """What is known of earlier drills."""

    kind: str = "drills"
    record: str | None = None
    """The JSON document that the newest drill has left, where the policy names one."""

    @property
    def address(self) -> str:
        return self.record or "the state file"
