"""The servers that these tests talk to."""

from tests.servers.postgres import admin, cluster, limit, own_server, server, stack

__all__ = ["admin", "cluster", "limit", "own_server", "server", "stack"]
