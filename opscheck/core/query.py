"""What a query is: frozen, hashable, serialisable, and typed by its answer."""

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Generic, TypeVar, get_args

import msgspec

A = TypeVar("A")

Timestamp = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time in an answer. It has a zone: one without could not be compared with any other."""


class Identity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which system answers, and whom it takes this client for; the reports say it of each target."""

    place: str
    """Where it is: server, and the name that its configuration has for it."""
    user: str = ""
    """The user, as the system calls it; empty where it does not say."""
    groups: tuple[str, ...] = ()
    authenticated_by: str = ""
    """How, in words; never the credential."""
    warning: str = ""
    """What is wrong with this client's own access, such as that it may do far more than read."""


@dataclass(frozen=True)
class Permission:
    """Something that a query must be allowed to do. Each system has its own subclass."""

    def text(self) -> str:
        """The permission in one line, for `opscheck explain`."""
        values = [str(getattr(self, field.name)) for field in fields(self) if getattr(self, field.name) is not None]
        return " ".join(values)

    @property
    def risk(self) -> str:
        """What it also allows, where that is dangerous; empty where it is not."""
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
    True when its answers are kept from run to run, where the command names a state file.

    A check then compares with earlier ones (`observe.earlier`): a counter says nothing without an interval. Such an
    answer says in `epoch`, a text, since when or where its counters count: another epoch is another count.
    """
    noted: ClassVar[bool] = True
    """False for a query for earlier answers alone: they come with it, and its own are not kept."""
    kept_whole_for: ClassVar[timedelta | None] = None
    """
    How long each of its remembered answers is kept.

    None, the default, is for frequent samples that are compared: forty days, of which ever fewer stay with their age.
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
        """The part of the target that it looks at, such as a namespace; None for the target as a whole."""
        return None

    @property
    def group(self) -> str:
        """Queries of one group are sent one after the other, as the probe keeps open what they share; "" is none."""
        return ""

    @property
    def time_limit_s(self) -> float | None:
        """How long its answer may take, where it knows that itself: reading a whole backup takes what it takes."""
        return None

    @property
    def remembered_as(self) -> "Query[Any]":
        """The query under which its answers are kept from run to run; mostly itself."""
        return self

    def permissions(self) -> tuple[Permission, ...]:
        """What the target must allow for this to be answered."""
        return ()

    def permissions_by_target(self) -> tuple[tuple[str, Permission], ...]:
        """The same, each with the target that must allow it: mostly its own."""
        return tuple((self.target, permission) for permission in self.permissions())

    def text(self) -> str:
        """The query in words, for `opscheck explain` and for errors."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "target"}
        return f"{self.name}({', '.join(f'{name}={value!r}' for name, value in values.items())})"
