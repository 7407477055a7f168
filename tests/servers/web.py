"""Web servers that answer as a test tells them to, and sessions of the HTTP probe with them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from opscheck import HttpTarget
from opscheck.core.observation import ProbeError, Problem
from opscheck.demo.serving import Answer, LoopbackServer, Response
from opscheck.systems.http.probe import HttpSession, open_session

Serve = Callable[[Answer], LoopbackServer]
Open = Callable[..., HttpSession]

OK = Response(body=b'{"status": "ok"}')


@pytest.fixture
def serve() -> Iterator[Serve]:
    with ExitStack() as stack:
        yield lambda answer: stack.enter_context(LoopbackServer(answer))


@pytest.fixture
def session() -> Iterator[Open]:
    with ExitStack() as stack:

        def open_one(server: LoopbackServer | str, timeout_s: float = 5, **fields) -> HttpSession:
            url = server if isinstance(server, str) else server.url
            opened = open_session(HttpTarget(kind="http", base_url=url, **fields), timeout_s)
            stack.callback(opened.close)
            return opened

        yield open_one


def problem_of(ask: Callable[[], object]) -> Problem:
    with pytest.raises(ProbeError) as raised:
        ask()
    return raised.value.problem
