"""Name resolution on a host: the query and its answer, which `kubernetes.dns` judges."""

from dataclasses import dataclass

import msgspec

from opscheck.core.query import Query


class Resolution(msgspec.Struct, frozen=True, kw_only=True):
    """The addresses of a name, as programs on the host see them."""

    addresses: tuple[str, ...]
    """Each once; empty when the name could not be resolved."""
    tool: str
    """The tool that resolved it: `getent`, which resolves as programs do, or `nslookup`, which queries DNS alone."""
    seconds: float | None
    """How long it took, to a hundredth; None where the host does not say."""
    stopped: bool = False
    """True when no answer came in time."""
    said: str = ""
    """nslookup's message about a name that could not be resolved; getent prints no reason."""
    control_resolved: bool | None = None
    """Whether the control was resolved; None where it was not tried, as the name was resolved."""


@dataclass(frozen=True)
class ResolveName(Query[Resolution], name="host.resolve"):
    """
    The addresses of `host_name` there.

    Only when it cannot be resolved, `control` is tried too: a name that always exists, so that a missing name is
    distinguished from a resolver that does not answer.
    """

    host_name: str
    control: str

    def text(self) -> str:
        """For people."""
        return f"resolve {self.host_name}"
