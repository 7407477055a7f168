"""Every test here is about every version of Redis that is tested on."""

import pytest


@pytest.fixture(autouse=True)
def _each_version(redis_program):
    """The program that `Redis()` starts."""
