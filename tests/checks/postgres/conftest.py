"""The servers that these tests talk to."""

from tests.checks.postgres.worlds import do, schema
from tests.servers.postgres import admin, cluster, contrib, installation, limit, own_server, server, stack

__all__ = ["admin", "cluster", "contrib", "do", "installation", "limit", "own_server", "schema", "server", "stack"]
