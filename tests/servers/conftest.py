"""The servers that these tests talk to."""

from tests.servers.postgres import admin, cluster, clusters, contrib, installation, own_server, server

__all__ = ["admin", "cluster", "clusters", "contrib", "installation", "own_server", "server"]
