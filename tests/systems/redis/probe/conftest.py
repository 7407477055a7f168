"""Servers with scripted replies."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.servers.redis import ScriptedServer


@pytest.fixture
def scripted() -> Iterator[Callable[..., ScriptedServer]]:
    """Start one with these replies."""
    with ExitStack() as stack:
        yield lambda *replies, **options: stack.enter_context(ScriptedServer(replies, **options))
