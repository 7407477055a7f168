"""The servers that these tests talk to."""

from tests.checks.postgres.worlds import do, schema
from tests.servers.postgres import contrib, limit, own_server, server, stack

__all__ = ["contrib", "do", "limit", "own_server", "schema", "server", "stack"]
