"""The fixtures of a check, registered only while a policy is judged."""

import pytest

from opscheck.core.expectation import Expectation
from opscheck.core.findings import Findings
from opscheck.gathering.observer import Observing

EXPECTATION: pytest.StashKey[Expectation] = pytest.StashKey()
"""On an item: the expectation that it judges."""

OBSERVING: pytest.StashKey[Observing] = pytest.StashKey()
"""On an item: its `observe`."""

FINDINGS: pytest.StashKey[Findings] = pytest.StashKey()
"""On an item: its `findings`."""


@pytest.fixture(name="observe")
def _observe(request: pytest.FixtureRequest) -> Observing:
    """Answers a query: `observe(query)`; `observe.now` is the time that checks use as now."""
    observing: Observing = request.node.stash[OBSERVING]
    return observing


@pytest.fixture(name="findings")
def _findings(request: pytest.FixtureRequest) -> Findings:
    """Records measurements and findings: `measure`, `grade` and `add`."""
    findings: Findings = request.node.stash[FINDINGS]
    return findings
