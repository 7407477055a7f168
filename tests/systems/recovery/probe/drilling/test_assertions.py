"""Damage that only pg_amcheck sees is told, and no row with it."""

from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from opscheck.demo.postgres import PostgreSQL
from opscheck.systems.recovery.probe.drilling.assertions import verify
from opscheck.systems.recovery.probe.drilling.programs import Programs, write_service
from opscheck.systems.recovery.probe.drilling.server import Scratch
from opscheck.transport.processes import give, unprivileged_user
from tests.servers.drills import SECRET

_HEADER = 24


def _scribble(file: Path) -> None:
    """Turn the order of an index's second page around, as a change of collation does it."""
    content = bytearray(file.read_bytes())
    page = slice(8192, 2 * 8192)
    first, second = (slice(8192 + _HEADER + 4 * place, 8192 + _HEADER + 4 * (place + 1)) for place in (3, 40))
    content[first], content[second] = content[second], content[first]
    assert len(content[page]) == 8192
    file.write_bytes(content)


def test_an_index_that_is_out_of_order_is_named(server_that_verifies, traces):
    found = server_that_verifies
    with PostgreSQL(programs=found.folder.parent) as server:
        with psycopg.connect(server.dsn("postgres"), autocommit=True) as connection:
            connection.execute("CREATE TABLE t (note text)")
            connection.execute(f"INSERT INTO t SELECT '{SECRET}' || n FROM generate_series(1, 2000) n")  # noqa: S608 - the test's own
            connection.execute("CREATE INDEX by_note ON t (note)")
            path = connection.execute("SELECT pg_relation_filepath('by_note')").fetchone()[0]
            connection.execute("CHECKPOINT")
        server.stop()
        _scribble(server.data / path)
        server.start()
        folder = traces.for_everybody()
        write_service(folder, conninfo_to_dict(server.dsn("postgres")), "admin")
        give(folder, unprivileged_user())
        dsn = server.dsn("postgres")
        damage, missing = verify(Scratch(Programs(found, folder), dsn, dsn, "admin", server.version))

    assert ("", True) == (missing, damage.startswith("damaged: btree index "))
    assert "by_note" in damage
    assert SECRET not in damage
