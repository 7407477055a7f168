"""The servers that these tests talk to."""

from tests.servers.postgres import server

__all__ = ["server"]
