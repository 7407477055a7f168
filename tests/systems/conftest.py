"""The servers that these tests talk to."""

from tests.servers.postgres import contrib, limit, own_server, server, stack
from tests.servers.web import serve, session

__all__ = [
    "contrib",
    "limit",
    "own_server",
    "serve",
    "server",
    "session",
    "stack",
]
