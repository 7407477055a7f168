"""Registries for tests: the bundled systems, and one that finds probes with a function."""

from typing import Any

from opscheck.core.probe import Probe
from opscheck.core.registry import Registry

BUNDLED = Registry.bundled()
"""For reading only; a test that adds to a registry makes one of its own."""


class OneProbe(Registry):
    """Every kind of target is answered by one probe."""

    def __init__(self, probe: Any) -> None:
        super().__init__()
        self._probe = probe

    def probe(self, kind: str) -> Probe:
        """That probe."""
        return self._probe
