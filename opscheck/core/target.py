"""Targets: the systems that a policy names."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, ValidationInfo
from pydantic_core import PydanticCustomError, core_schema

from opscheck.core.remedy import Fact
from opscheck.core.units import PositiveCount, Timeout

REFERENCE = re.compile(r"\$\{\w+\}")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(.*)", re.DOTALL)
_USER_AND_PASSWORD = re.compile(r"[^:@\[]*:[^@]*[^@0-9][^@]*")
_LIBPQ_WORD = re.compile(r"(\w+)\s*=\s*('(?:\\.|[^'\\])*'|\S*)", re.DOTALL)


class Target(BaseModel):
    """
    One system to check. Subclass it with `kind="…"` to add a kind.

    An expectation names its target; validation looks the name up.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True)

    own_kind: ClassVar[str] = ""
    """The `kind` in a policy; empty for a base class."""
    url_schemes: ClassVar[tuple[str, ...]] = ()
    """The schemes of its address that no other kind has, to propose the kind where one is used elsewhere."""

    name: str = Field(default="", exclude=True, repr=False)
    """The target's name in the policy; never written inside the target itself."""
    kind: str
    """The kind of system."""
    timeout: Timeout | None = None
    """Time limit of one query to this target, unless an expectation sets another timeout."""
    concurrency: PositiveCount = 16
    """Maximum number of queries sent to this target at the same time."""

    def __init_subclass__(cls, kind: str = "", **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.own_kind = kind

    @classmethod
    def __pydantic_init_subclass__(cls, kind: str = "", **options: Any) -> None:
        """Accepts the class keywords, which pydantic passes a second time."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.with_info_before_validator_function(cls._look_up, handler(source))

    @classmethod
    def _look_up(cls, value: object, info: ValidationInfo) -> object:
        return _named_target(value, info, (cls,))

    @property
    def address(self) -> str:
        """The address of the target, without credentials."""
        return self.name

    def facts(self) -> Mapping[str, Fact]:
        """
        The values of this target that a remediation command may name.

        They may contain secrets: rendering a command replaces those by the references they came from.
        """
        return {}

    def named(self, name: str) -> Self:
        """The same target under its name in the policy."""
        return self.model_copy(update={"name": name})


class InlineTarget(Target):
    """A target that an expectation writes itself, such as `host:port`, instead of a name in `targets`."""

    noun: ClassVar[str] = ""
    """Description of such a text, for errors."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """The target that `text` describes. Raises PydanticCustomError."""
        raise NotImplementedError(cls)  # pragma: no cover

    def as_written(self, text: str) -> Self:  # noqa: ARG002 - for subclasses
        """The same target, with a name that does not depend on variables; `text` is its text in the policy."""
        return self

    @classmethod
    def _look_up(cls, value: object, info: ValidationInfo) -> object:  # noqa: ARG003 - there is nothing to look up
        if isinstance(value, str):
            return cls.parse(value)
        if isinstance(value, Target):  # pydantic comes here a second time with what was found
            return value
        raise PydanticCustomError("own_target", cls.noun)


class TargetOf:
    """
    Annotates a field that names a target of one of several classes: `Annotated[Target, TargetOf(HostTarget, …)]`.

    A common base class would make those systems depend on each other.
    """

    def __init__(self, *classes: type[Target]) -> None:
        self._classes = classes

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Look the name up, as a field of the type of one target does."""
        look_up = partial(_named_target, classes=self._classes)
        return core_schema.with_info_before_validator_function(look_up, core_schema.is_instance_schema(Target))

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        """A name."""
        return {
            "type": "string",
            "description": f"The name of a target of kind {' or '.join(one.own_kind for one in self._classes)}.",
        }


def _named_target(value: object, info: ValidationInfo, classes: tuple[type[Target], ...]) -> object:
    targets = (info.context or {}).get("targets")
    if targets is None or isinstance(value, Target):  # pydantic comes here a second time with the result
        return value
    if not isinstance(value, str) or value not in targets:
        raise PydanticCustomError("unknown_target", "the name of a target", {"known": sorted(targets)})
    if not isinstance(targets[value], classes):
        raise PydanticCustomError(
            "wrong_kind",
            "a target of kind {kinds}; {name} is of kind {kind}",
            {"kinds": " or ".join(_kinds(info, classes)), "name": value, "kind": targets[value].kind},
        )
    return targets[value]


def _kinds(info: ValidationInfo, classes: tuple[type[Target], ...]) -> list[str]:
    kinds_of = (info.context or {}).get("kinds_of")
    return kinds_of(classes) if kinds_of else [one.own_kind for one in classes]


def named_classes(model: type[BaseModel]) -> list[type[Target]]:
    """The classes of targets that the fields of `model` name."""
    annotations = [field.annotation for field in model.model_fields.values()]
    parts = [part for one in annotations for part in (one, *get_args(one))]
    return [part for part in parts if isinstance(part, type) and issubclass(part, Target)]


def without_credentials(url: str) -> str:
    """
    A URL or libpq string without user, password and query; only scheme, host, port and path are left.

    A reference to an unset variable, which `opscheck explain` keeps, is returned unchanged.
    """
    if REFERENCE.fullmatch(url):
        return url
    parts = _URL.fullmatch(url)
    if parts is None:
        words = ((name, value.strip("'")) for name, value in _LIBPQ_WORD.findall(url))
        return " ".join(f"{name}={_database(value)}" for name, value in words if name in {"host", "port", "dbname"})
    scheme, authority, rest = parts.groups()
    if any(_USER_AND_PASSWORD.fullmatch(part) for part in authority.split(",")):  # libpq takes several hosts
        # The password has a `/` or `?` that is not encoded, and the host is in what looks like a path.
        authority, rest = "", rest.rpartition("@")[2]
    return f"{scheme}://{authority.rpartition('@')[2]}{re.split('[?#]', rest)[0]}"


def _database(name: str) -> str:
    # libpq takes a whole connection string as the name of a database.
    return without_credentials(name) if "=" in name or "://" in name else name
