"""Shakes hands with servers, to see what they serve."""

from opscheck.systems.tls.probe.session import TlsSession, open_session

__all__ = ["TlsSession", "open_session"]
