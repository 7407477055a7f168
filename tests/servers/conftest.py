"""The servers that these tests talk to."""

from tests.servers.pgbouncer import pgbouncer_program
from tests.servers.postgres import admin, cluster, contrib, installation, own_server, server

__all__ = [
    "admin",
    "cluster",
    "contrib",
    "installation",
    "own_server",
    "pgbouncer_program",
    "server",
]
