"""Handshakes with TLS servers, which show their certificates; the only importer of cryptography."""
