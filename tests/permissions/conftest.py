"""The servers that these tests talk to."""

from tests.servers.postgres import installation

__all__ = ["installation"]
