"""The servers that these tests talk to."""

from tests.servers.pgbouncer import pgbouncer_program
from tests.servers.postgres import admin, cluster, contrib, installation, limit, own_server, server, stack
from tests.servers.web import serve, session

__all__ = [
    "admin",
    "cluster",
    "contrib",
    "installation",
    "limit",
    "own_server",
    "pgbouncer_program",
    "serve",
    "server",
    "session",
    "stack",
]
