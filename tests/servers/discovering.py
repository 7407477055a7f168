"""What one system proposes, found with the probes that runs use."""

import os
from datetime import date

from opscheck.core.discovery import Discovery, DiscoveryInput
from opscheck.core.redaction import Secrets
from opscheck.core.registry import Registry
from opscheck.discovery.looking import Looking

TODAY = date(2026, 3, 2)


def discovered(system: str, **given) -> Discovery:
    """The discovery of one bundled system."""
    registry = Registry.bundled()
    look = Looking(registry, os.environ, Secrets())
    return registry.discoverers()[system](DiscoveryInput(today=TODAY, **given), look)


def by_check(found: Discovery) -> dict:
    """Its proposals by their checks; each check once."""
    proposals = {one.check: one for one in found.proposals}
    assert len(proposals) == len(found.proposals)
    return proposals
