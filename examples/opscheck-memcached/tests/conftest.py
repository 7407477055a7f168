"""Servers for the tests that want one."""

from contextlib import ExitStack

import pytest
from memcached_server import memcached


@pytest.fixture(name="server")
def _server():
    """Start servers; they end with the test."""
    with ExitStack() as stack:

        def start(*options: str) -> int:
            try:
                return stack.enter_context(memcached(*options))
            except LookupError as error:
                pytest.skip(str(error))

        yield start
