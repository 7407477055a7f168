"""
Asks PostgreSQL servers.

Queries of `postgres.queries.<field>` are answered by `postgres.probe.<field>`: its `READERS` has a reader
for each kind of query. Such a module is imported when the first of its questions is asked.
"""

from opscheck.systems.postgres.probe.session import PostgresSession, open_session

__all__ = ["PostgresSession", "open_session"]
