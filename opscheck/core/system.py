"""The descriptor of a system: what a distribution brings under the entry point group `opscheck.systems`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

GROUP = "opscheck.systems"
"""The entry point group. An entry point's name is the system's: the first word of its checks."""


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
    client: str = ""
    """The client library's module. A policy with such a target is refused where it is not installed."""
    install: str = ""
    """What `pip install` installs it, such as `opscheck[redis]`."""
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
    checks: Path | None = None
    """The folder with its check functions, `test_<concern>.py`."""
    readers: Mapping[str, str] = field(default_factory=dict)
    """
    Functions `(session, query, timeout_s)` by the name of the query that they answer, as `module:function`.

    A system may thus answer its own queries on a target of another system: the session is that target's.
    """
