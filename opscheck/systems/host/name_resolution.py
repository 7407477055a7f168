"""Name resolution on a host: the query and its answer, which `kubernetes.dns` judges."""

from dataclasses import dataclass

import msgspec

from opscheck.core.query import Query


class Resolution(msgspec.Struct, frozen=True, kw_only=True):
    """The addresses of a name, as programs on the host resolve it."""

    addresses: tuple[str, ...]
    """Each once; empty when the name could not be resolved."""
    tool: str
    """The tool that resolved it: `getent`, which resolves as programs do, or `nslookup`, which queries DNS alone."""
    seconds: float | None
    """Its duration, to a hundredth; None where the host does not report it."""
    stopped: bool = False
    """True when it timed out."""
    said: str = ""
    """nslookup's message about a name that could not be resolved; getent prints no reason."""
    control_resolved: bool | None = None
    """True when the control was resolved; None where the name itself was."""


@dataclass(frozen=True)
class ResolveName(Query[Resolution], name="host.resolve"):
    """
    The addresses of `host_name` there.

    If it cannot be resolved, `control` is tried too: a name that always exists, which distinguishes a missing name from
    a resolver without an answer.
    """

    host_name: str
    control: str

    def text(self) -> str:
        """The query, for people."""
        return f"resolve {self.host_name}"
