"""The descriptor of a system, which a distribution declares as an entry point of `opscheck.systems`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from opscheck.core.query import Query

GROUP = "opscheck.systems"
"""The entry point group. The name of an entry point is that of its system, the first word of its checks."""


@dataclass(frozen=True, init=False)
class Client:
    """Python packages that a probe imports, and what `pip install` installs them, such as `opscheck[redis]`."""

    install: str
    modules: tuple[str, ...]

    def __init__(self, install: str, *modules: str) -> None:
        object.__setattr__(self, "install", install)
        object.__setattr__(self, "modules", modules)

    def missing(self) -> list[str]:
        """The modules that are not installed. Does not import them."""
        return [module for module in self.modules if not _is_installed(module)]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """
    One kind of target. Classes are written `module:Class`, so that nothing is imported before a policy needs it.

    A target that only expectations create, such as an endpoint, is `inline`: `targets` cannot contain it.
    """

    target: str
    """The `Target` class, as `module:Class`."""
    probe: str
    """The module with `open_session`."""
    permissions: str = ""
    """The module with `render(target, permissions)` and `COMMENT`; empty where there is nothing to grant."""
    client: Client | None = None
    """The client library. A policy with such a target is refused where it is not installed."""
    inline: bool = False
    after_answers: str = ""
    """
    A function `(targets, observations, environment, secrets)`, as `module:function`, called once such a target has
    answered. It returns the problems to report; it may write files, and cannot change an answer.
    """


@dataclass(frozen=True, kw_only=True)
class System:
    """The parts that check one kind of software."""

    name: str
    """The first word of its checks, and the name of its entry point."""
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    """Its kinds of target, by the word that a policy writes as `kind`."""
    expectations: Mapping[str, str] = field(default_factory=dict)
    """Its expectations by the name of their check, as `module:Class`."""
    clients: Mapping[str, Client] = field(default_factory=dict)
    """Additional packages that the queries of a check need, by the name of the check."""
    checks: Path | None = None
    """The folder with its check functions, `test_<concern>.py`."""
    examples: Path | None = None
    """A folder of policy files with an expectation for each of its checks, for people; the bundled ones by default."""
    readers: Mapping[str, str] = field(default_factory=dict)
    """
    Functions `(session, query, timeout_s)` by the name of the query that they answer, as `module:function`.

    So a system can answer its own queries in the session of another system's target.
    """
    discover: str = ""
    """
    What it proposes for a first policy: a `Discoverer` of `opscheck.core.discovery`, as `module:function`.

    Empty where `opscheck init` finds nothing of this system.
    """


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # its parent package is missing
        return False


class Session(Protocol):
    """One target, opened for the length of a run. Its `ask` is called from several threads at once."""

    def ask(self, query: Query[Any], timeout_s: float) -> Any:
        """
        Answer `query` within `timeout_s` seconds, without changing the target.

        Raises `ProbeError` when there is no answer. Any other exception is reported as a bug of opscheck.
        """
        ...

    def close(self) -> None:
        """Close connections; called once, also without any call of `ask`."""
        ...


class Probe(Protocol):
    """The module that a kind of target names as its probe."""

    def open_session(self, target: Any, timeout_s: float) -> Session:
        """
        Connect to `target`, so that an unreachable target costs one timeout and not one per query.

        Raises `ProbeError` with `target_down=True` when nothing answers.
        """
        ...
