"""
Asks PostgreSQL servers.

What `opscheck.queries.postgres.<field>` can ask, `opscheck.probes.postgres.<field>` answers: its `READERS` has a reader
for each kind of query. Such a module is imported when the first of its questions is asked.
"""

from opscheck.probes.postgres.session import PostgresSession, open_session

__all__ = ["PostgresSession", "open_session"]
