"""Querying an endpoint as a run does, and the problem in place of an answer."""

from typing import Any

import pytest

from opscheck.core.observation import ProbeError, Problem
from opscheck.systems.tls.handshake import Handshake, Handshakes, ShakeHands
from opscheck.systems.tls.probe.session import open_session
from opscheck.systems.tls.target import Endpoint


def ask(port: int, host: str = "127.0.0.1", timeout_s: float = 5, **fields: Any) -> Handshakes:
    """The handshakes of all addresses of an endpoint."""
    endpoint = Endpoint.parse(f"{host}:{port}")
    session = open_session(endpoint, timeout_s)
    try:
        return session.ask(ShakeHands(endpoint.name, **fields), timeout_s)
    finally:
        session.close()


def ask_one(port: int, **fields: Any) -> Handshake:
    """The handshake of the one address of an endpoint."""
    (handshake,) = ask(port, **fields).addresses
    return handshake


def problem_of(port: int, **fields: Any) -> Problem:
    """Why nothing is known of an endpoint."""
    with pytest.raises(ProbeError) as raised:
        ask(port, **fields)
    return raised.value.problem
