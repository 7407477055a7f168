"""TLS endpoints and certificates."""
