"""Handshakes with TLS servers, which show their certificates; the only importer of cryptography."""

from opscheck.systems.tls.probe.session import TlsSession, open_session

__all__ = ["TlsSession", "open_session"]
