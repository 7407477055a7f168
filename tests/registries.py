"""Registries for tests: the bundled systems, and one that finds probes with a function."""

from collections.abc import Callable
from typing import Any

from opscheck.core.query import Query
from opscheck.core.registry import Registry
from opscheck.core.system import Probe, Session

BUNDLED = Registry.bundled()
"""For reading only; a test that adds to a registry makes one of its own."""


class ProbesOf(Registry):
    """Finds probes with a function of the test."""

    def __init__(self, find: Callable[[str], Any]) -> None:
        super().__init__()
        self._find = find

    def probe(self, kind: str) -> Probe:
        """What the function finds for this kind of target."""
        return self._find(kind)


def answer(session: Session, query: Query[Any], timeout_s: float) -> Any:
    """What a run gets for a query: from the reader of another system where there is one, else from the session."""
    reader = BUNDLED.reader(query)
    return reader(session, query, timeout_s) if reader else session.ask(query, timeout_s)
