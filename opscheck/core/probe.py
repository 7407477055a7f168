"""What a probe is: the module that answers one kind of target's queries."""

from typing import Any, Protocol

from opscheck.core.query import Query


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
    """A module of `opscheck.core.probes` satisfies this by having the function."""

    def open_session(self, target: Any, timeout_s: float) -> Session:
        """
        Reach `target` for the first time, so that a dead target costs one time-out and not one per query.

        Raises `ProbeError` with `target_down=True` when nothing answers.
        """
        ...
