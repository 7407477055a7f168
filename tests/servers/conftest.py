"""The servers that these tests talk to."""

from tests.servers.pgbouncer import pgbouncer_program
from tests.servers.postgres import admin, cluster, clusters, contrib, installation, own_server, server
from tests.servers.redis_versions import redis_program

__all__ = [
    "admin",
    "cluster",
    "clusters",
    "contrib",
    "installation",
    "own_server",
    "pgbouncer_program",
    "redis_program",
    "server",
]
