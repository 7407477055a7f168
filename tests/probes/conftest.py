"""The servers that these tests talk to."""

from tests.servers.postgres import admin, cluster, contrib, installation, limit, own_server, server, stack
from tests.servers.web import serve, session

__all__ = [
    "admin",
    "cluster",
    "contrib",
    "installation",
    "limit",
    "own_server",
    "serve",
    "server",
    "session",
    "stack",
]
