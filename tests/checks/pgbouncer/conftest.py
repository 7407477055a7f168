"""The servers that these tests talk to."""

from tests.servers.pgbouncer import pgbouncer_program

__all__ = ["pgbouncer_program"]
