"""Reads which databases a server has."""

import msgspec

from opscheck.systems.postgres.probe.libpq import Connection
from opscheck.systems.postgres.probe.statements import Readers, one_row
from opscheck.systems.postgres.queries.base import DatabaseNames, ListDatabases

# A database with a connection limit of -2 was left behind by a DROP DATABASE that was interrupted; nobody gets in.
_DATABASES = """
    SELECT current_database()::text AS current,
           (SELECT coalesce(array_agg(datname::text ORDER BY datname), '{}') FROM pg_database
            WHERE datallowconn AND NOT datistemplate AND datconnlimit <> -2) AS names
"""


def _list_databases(connection: Connection, query: ListDatabases) -> DatabaseNames:  # noqa: ARG001 - as every reader
    return msgspec.convert(one_row(connection, _DATABASES), DatabaseNames)


READERS: Readers = {ListDatabases: _list_databases}
