"""The servers that these tests talk to."""

from tests.servers.postgres import contrib, own_server, server

__all__ = [
    "contrib",
    "own_server",
    "server",
]
