"""The servers that these tests talk to."""

from tests.servers.postgres import contrib, limit, own_server, server, stack

__all__ = [
    "contrib",
    "limit",
    "own_server",
    "server",
    "stack",
]
