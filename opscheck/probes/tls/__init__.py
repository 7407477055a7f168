"""Shakes hands with servers, to see what they serve."""

from opscheck.probes.tls.session import TlsSession, open_session

__all__ = ["TlsSession", "open_session"]
