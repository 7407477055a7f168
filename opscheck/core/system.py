"""The descriptor of a system: what a distribution brings under the entry point group `opscheck.systems`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from opscheck.core.query import Query

GROUP = "opscheck.systems"
"""The entry point group. An entry point's name is the system's: the first word of its checks."""


@dataclass(frozen=True, init=False)
class Client:
    """Python packages that a probe imports, and what `pip install` installs them, such as `opscheck[redis]`."""

    install: str
    modules: tuple[str, ...]

    def __init__(self, install: str, *modules: str) -> None:
        object.__setattr__(self, "install", install)
        object.__setattr__(self, "modules", modules)

    def missing(self) -> list[str]:
        """Those modules that are not installed; none of them is imported."""
        return [module for module in self.modules if not _is_installed(module)]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """
    One kind of target. Classes are written `module:Class`, so that nothing is imported before a policy needs it.

    A target that only expectations create, such as an endpoint, is `inline`: the policy's `targets` cannot name it.
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
    """What can be checked of one kind of software."""

    name: str
    """The first word of its checks, and the name of its entry point."""
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    """Its kinds of target, by the word that a policy writes as `kind`."""
    expectations: Mapping[str, str] = field(default_factory=dict)
    """Its expectations by the name of their check, as `module:Class`."""
    clients: Mapping[str, Client] = field(default_factory=dict)
    """What the queries of a check need beyond the client library of their targets, by the check's name."""
    checks: Path | None = None
    """The folder with its check functions, `test_<concern>.py`."""
    examples: Path | None = None
    """A folder of policy files with an expectation for each of its checks, for people; the bundled ones by default."""
    readers: Mapping[str, str] = field(default_factory=dict)
    """
    Functions `(session, query, timeout_s)` by the name of the query that they answer, as `module:function`.

    A system may thus answer its own queries on a target of another system: the session is that target's.
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

        Raises `ProbeError` when there is no answer. Whatever else it raises is reported as a fault of opscheck.
        """
        ...

    def close(self) -> None:
        """Let go of connections; called once, also when `ask` never was."""
        ...


class Probe(Protocol):
    """The module that a kind of target names as its probe: it has this function."""

    def open_session(self, target: Any, timeout_s: float) -> Session:
        """
        Reach `target` for the first time, so that a dead target costs one time-out and not one per query.

        Raises `ProbeError` with `target_down=True` when nothing answers.
        """
        ...
