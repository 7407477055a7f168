"""Which function of this package answers which query."""

from importlib import import_module
from typing import Any

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.query import Query
from opscheck.systems.postgres.probe.libpq import Connection
from opscheck.systems.postgres.probe.statements import Reader

READERS = {
    "postgres.activity": "activity:read_activity",
    "postgres.ages": "vacuum:read_ages",
    "postgres.archiver": "archiver:read_archiver",
    "postgres.collations": "settings:read_collations",
    "postgres.configuration-files": "settings:read_configuration_files",
    "postgres.databases": "server:read_databases",
    "postgres.duplicate-indexes": "indexes:read_duplicates",
    "postgres.extensions": "settings:read_extensions",
    "postgres.identity": "server:read_identity",
    "postgres.invalid-indexes": "indexes:read_invalid",
    "postgres.largest-relations": "size:read_relations",
    "postgres.locks": "locks:read_locks",
    "postgres.own-role": "access:read_own_role",
    "postgres.replication": "replication:read_replication",
    "postgres.select": "query:read_select",
    "postgres.sequences": "size:read_sequences",
    "postgres.server-state": "settings:read_server_state",
    "postgres.sessions": "connections:read_sessions",
    "postgres.settings": "settings:read_settings",
    "postgres.sizes": "size:read_sizes",
    "postgres.slots": "replication:read_slots",
    "postgres.statement-counters": "queries:read_counters",
    "postgres.statement-texts": "queries:read_texts",
    "postgres.tables": "vacuum:read_tables",
    "postgres.unused-indexes": "indexes:read_unused",
    "postgres.xmin-holders": "vacuum:read_xmin_holders",
}
"""`module:function` by the query's name. A module is imported for its first query: a run needs few of them."""


def read_answer(connection: Connection, query: Query[Any]) -> Any:
    """The answer to a query of PostgreSQL's own. Raises ProbeError for any other."""
    if query.name not in READERS:
        raise ProbeError(ProblemKind.UNSUPPORTED, f"the PostgreSQL probe does not answer {query.name}")
    return function(READERS[query.name])(connection, query)


def function(reader: str) -> Reader:
    """The function that an entry of READERS names."""
    module, _, name = reader.partition(":")
    found: Reader = getattr(import_module(f"{__package__}.{module}"), name)
    return found
