"""What opscheck keeps on pytest's objects; a leaf, so that no import goes in a circle."""

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
