"""Queries: frozen, hashable, serialisable, and typed by their answer."""

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Generic, TypeVar, get_args

import msgspec

A = TypeVar("A")

Timestamp = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time in an answer, with its time zone; without one it could not be compared."""


class Identity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The system that answers and the identity of this client there; reported for each target."""

    place: str
    """The server, and the name that its configuration has for it."""
    user: str = ""
    """The user name in that system; empty if unknown."""
    groups: tuple[str, ...] = ()
    authenticated_by: str = ""
    """The authentication method; never the credential."""
    warning: str = ""
    """A problem of this client's own access, such as more privileges than read."""


@dataclass(frozen=True)
class Permission:
    """A privilege that a query needs. Each system has its own subclass."""

    def text(self) -> str:
        """The permission in one line, for `opscheck explain`."""
        values = [str(getattr(self, field.name)) for field in fields(self) if getattr(self, field.name) is not None]
        return " ".join(values)

    @property
    def risk(self) -> str:
        """Dangerous operations that it also allows; empty without any."""
        return ""


@dataclass(frozen=True)
class Query(Generic[A]):
    """
    One request to one target. Subclass it with `@dataclass(frozen=True)` and its answer's type:
    `class ListPods(Query[PodList], name="kubernetes.pods")`.

    Two equal queries are sent once. `target` is the target's name in the policy, so that a query never holds
    a secret. The answer type must be something msgspec can write to JSON and read back.
    """

    target: str

    name: ClassVar[str] = ""
    answer: ClassVar[Any] = None
    remembered: ClassVar[bool] = False
    """
    True when its answers are kept between runs, in the state file.

    A check then compares with earlier ones (`observe.earlier`): a counter needs an interval. Such an
    answer has an `epoch`, a text that changes when its counters restart or belong to another server.
    """
    noted: ClassVar[bool] = True
    """False for a query that only reads earlier answers: its own are not kept."""
    kept_whole_for: ClassVar[timedelta | None] = None
    """
    Retention of its remembered answers.

    None, the default, is for frequent samples that are compared: forty days, thinned out with age.
    """
    known: ClassVar[dict[str, type["Query[Any]"]]] = {}

    def __init_subclass__(cls, name: str = "", *, remembered: bool | None = None, **options: Any) -> None:
        super().__init_subclass__(**options)
        if remembered is not None:
            cls.remembered = remembered
        if name:
            cls.name = name
            cls.answer = get_args(cls.__orig_bases__[0])[0]  # type: ignore[attr-defined]  # every generic has it
            cls.known[name] = cls

    @property
    def scope(self) -> str | None:
        """The part of the target that it reads, such as a namespace; None for the whole target."""
        return None

    @property
    def group(self) -> str:
        """Queries of one group are sent one after the other, because they share a connection; "" for no group."""
        return ""

    @property
    def time_limit_s(self) -> float | None:
        """Time limit of its own, in seconds, such as for reading a whole backup; None for the usual one."""
        return None

    @property
    def remembered_as(self) -> "Query[Any]":
        """The query under which its answers are kept between runs; by default itself."""
        return self

    def permissions(self) -> tuple[Permission, ...]:
        """The privileges that this query needs on its target."""
        return ()

    def permissions_by_target(self) -> tuple[tuple[str, Permission], ...]:
        """The same, each with the target that must grant it: by default its own."""
        return tuple((self.target, permission) for permission in self.permissions())

    def text(self) -> str:
        """The query as text, for `opscheck explain` and for errors."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "target"}
        return f"{self.name}({', '.join(f'{name}={value!r}' for name, value in values.items())})"
