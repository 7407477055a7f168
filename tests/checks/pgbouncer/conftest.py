"""The servers that these tests talk to."""

from tests.servers.pgbouncer import pgbouncer_program
from tests.servers.postgres import clusters

__all__ = ["clusters", "pgbouncer_program"]
