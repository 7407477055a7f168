"""Targets that an expectation brings itself: no entry of the policy's `targets` names them."""

import re
from typing import ClassVar, Self, cast

from pydantic import BaseModel, ConfigDict, SerializeAsAny, ValidationInfo
from pydantic_core import PydanticCustomError

from opscheck.targets import PostgresTarget, StoreTarget, Target

_HOST_AND_PORT = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\s:/@\[\]]+):(?P<port>\d{1,5})")
_LAST_PORT = 65535
_REFERENCE = re.compile(r"\$\{\w+\}")
EMBEDDED = "embedded"
"""What a policy calls a server that a drill starts for itself."""


class OwnTarget(Target):
    """A target that an expectation writes as a text of its own, and not as the name of an entry of `targets`."""

    noun: ClassVar[str] = ""
    """What such a text is, for people."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """The target that `text` stands for. Raises PydanticCustomError."""
        raise NotImplementedError(cls)  # pragma: no cover

    def as_written(self, text: str) -> Self:  # noqa: ARG002 - for subclasses
        """The same target, under a name that is the same wherever the policy is used; `text` stands in the policy."""
        return self

    @classmethod
    def _look_up(cls, value: object, info: ValidationInfo) -> object:  # noqa: ARG003 - there is nothing to look up
        if isinstance(value, str):
            return cls.parse(value)
        if isinstance(value, Target):  # pydantic comes here a second time with what was found
            return value
        raise PydanticCustomError("own_target", cls.noun)


class Endpoint(OwnTarget):
    """A server that answers with TLS, as an expectation writes it: `api.example.com:443`."""

    noun = "host:port, such as api.example.com:443 or [2001:db8::1]:443"

    kind: str = "tls"
    host: str
    """A name, or an address without brackets."""
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `host:port`. Raises PydanticCustomError."""
        if _REFERENCE.fullmatch(text):  # not set where nothing is asked: to explain a policy, to judge a snapshot
            return cast("Self", cls.model_construct(name=f"tls://{text}", host=text, port=0))
        found = _HOST_AND_PORT.fullmatch(text.strip())
        if found is None or not 0 < int(found["port"]) <= _LAST_PORT:
            raise PydanticCustomError("endpoint", cls.noun)
        # Not validated once more: what a policy writes here is a text, and a mapping is refused.
        name, host = f"tls://{found[0]}", found["host"].strip("[]")
        return cast("Self", cls.model_construct(name=name, host=host, port=int(found["port"])))

    def as_written(self, text: str) -> Self:
        """Named by what the policy says: where that is a variable, a snapshot is found again without its value."""
        return self.named(f"tls://{text}")

    @property
    def address(self) -> str:
        """Host and port."""
        if not self.port:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def facts(self) -> dict[str, str]:
        """Its `endpoint`, as openssl's `-connect` takes it."""
        return {"endpoint": self.address}


class ScratchServer(OwnTarget):
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
        """From where to where."""
        return f"{self.store.address} to {self.scratch.address if self.scratch else 'a server of its own'}"


class DrillRecords(Target):
    """What is known of earlier drills."""

    kind: str = "drills"
    record: str | None = None
    """The JSON document that the newest drill has left, where the policy names one."""

    @property
    def address(self) -> str:
        """Where it is known from."""
        return self.record or "the state file"
