"""Discoveries of one system, of real servers."""

from collections.abc import Mapping
from datetime import date

from opscheck.core.discovery import Discoverer, Discovery, DiscoveryInput, Proposal
from opscheck.core.redaction import Secrets
from opscheck.discovery.looking import Looking
from tests.registries import BUNDLED

TODAY = date(2026, 11, 30)


def discovered(discover: Discoverer, **environ: str) -> Discovery:
    """What a system finds in an environment."""
    given = DiscoveryInput(environment=environ, today=TODAY)
    return discover(given, Looking(BUNDLED, environ, Secrets()))


def proposals(found: Discovery) -> Mapping[str, Proposal]:
    """By their ids, each of which is there once, and valid for its check."""
    by_id = {one.id: one for one in found.proposals}
    assert len(by_id) == len(found.proposals)
    assert all(BUNDLED.expectation_type(one.check) for one in found.proposals)
    return by_id
