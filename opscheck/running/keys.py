"""What opscheck keeps on pytest's objects; a leaf, so that no import goes in a circle."""

import pytest

from opscheck.expectations.base import Expectation
from opscheck.gathering.observing import Observing
from opscheck.judging import Findings

EXPECTATION: pytest.StashKey[Expectation] = pytest.StashKey()
"""On an item: the expectation that it judges."""

OBSERVING: pytest.StashKey[Observing] = pytest.StashKey()
"""On an item: its `observe`."""

FINDINGS: pytest.StashKey[Findings] = pytest.StashKey()
"""On an item: its `findings`."""
