"""A real PostgreSQL with two hundred databases of a hundred tables each, and three hundred clients."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, TypeAlias

import psycopg
from cluster import Missing
from measure import Took

from opscheck.demo.postgres import PostgreSQL
from opscheck.transport.processes import wait_until

sys.path.append(str(Path(__file__).parents[1]))  # the tests know where to get a server with contrib

from tests.servers.cache import NotThere
from tests.servers.embedded import find_postgres
from tests.servers.fetching import REQUIRED

# The version that the compared plugins support; they cannot query newer ones.
MAJOR = 15
DATABASES, TABLES, CLIENTS = 200, 100, 300

_TEMPLATE = "shop_000"
_TICKS = os.sysconf("SC_CLK_TCK")
_TABLE = """
    DO $$ BEGIN FOR n IN 1..{tables} LOOP
        EXECUTE format('CREATE TABLE table_%s (id serial PRIMARY KEY, name text, at timestamptz DEFAULT now())', n);
        EXECUTE format('CREATE INDEX ON table_%s (at)', n);
        EXECUTE format('INSERT INTO table_%s (name) SELECT ''row'' FROM generate_series(1, 50)', n);
        EXECUTE format('GRANT SELECT ON SEQUENCE table_%s_id_seq TO opscheck', n);
    END LOOP; END $$
"""
_CONNECTED = "SELECT FROM pg_stat_activity WHERE datname = %s"
_COUNTED = """
    SELECT (SELECT sum(sessions) FROM pg_stat_database)::int8, (SELECT sum(calls) FROM pg_stat_statements)::int8
"""

Admin: TypeAlias = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True)
class Cost:
    """The cost of one process, or of several in a row, for the server."""

    wall_s: float
    connections: int
    statements: int
    server_s: float
    """Processor time of the server's processes."""

    def text(self) -> str:
        """For a table."""
        return (
            f"{self.wall_s:.2f} s, {self.connections} connections, {self.statements} statements, "
            f"{self.server_s:.2f} s of the server's processor"
        )


class Databases:
    """The server, with the cost of queries."""

    def __init__(self, server: PostgreSQL, admin: Admin) -> None:
        self.server = server
        self._admin = admin

    def cost_of(self, process: Callable[[], Took]) -> Cost:
        """Run it, and count the server's work. The statement that counts is included."""
        connections, statements = self._counted()
        busy, began = self._processor_s(), monotonic()
        process()
        wall_s = monotonic() - began
        busy_s = self._processor_s() - busy
        connections_now, statements_now = self._counted()
        return Cost(wall_s, connections_now - connections, statements_now - statements, busy_s)

    def _counted(self) -> tuple[int, int]:
        # A session is counted a moment after it has ended.
        self._admin.execute("SELECT pg_stat_clear_snapshot(), pg_sleep(0.5)")
        ((connections, statements),) = self._admin.execute(_COUNTED).fetchall()
        return connections, statements

    def _processor_s(self) -> float:
        """Of the server and of all its processes that have ended; those of the clients were started before and idle."""
        words = Path(f"/proc/{self.server.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(int(word) for word in words[11:15]) / _TICKS


@contextmanager
def many_databases() -> Iterator[Databases]:
    """Start and furnish it, which takes a minute. Raises Missing."""
    os.environ[REQUIRED] = "1"  # a measurement may download it
    try:
        programs = find_postgres()[MAJOR]
    except NotThere as why:
        raise Missing(str(why)) from why
    with ExitStack() as stack:
        server = stack.enter_context(
            PostgreSQL(
                programs=programs,
                max_connections=CLIENTS + 50,
                shared_preload_libraries="pg_stat_statements",
                archive_mode="on",
                archive_command="mkdir -p ../archive && cp %p ../archive/%f",
            )
        )
        admin = stack.enter_context(psycopg.connect(server.dsn("postgres", "postgres"), autocommit=True))
        _furnish(server, admin)
        for number in range(CLIENTS):
            database = f"shop_{number % DATABASES:03}"
            stack.enter_context(psycopg.connect(server.dsn("app", database), application_name="shop"))
        yield Databases(server, admin)


def _furnish(server: PostgreSQL, admin: Admin) -> None:
    print(f"  making {DATABASES} databases of {TABLES} tables …", flush=True)
    admin.execute("CREATE EXTENSION pg_stat_statements")
    admin.execute(f"CREATE DATABASE {_TEMPLATE}")
    with psycopg.connect(server.dsn("postgres", _TEMPLATE), autocommit=True) as template:
        template.execute(_TABLE.format(tables=TABLES))
        template.execute("VACUUM (ANALYZE)")
    wait_until(
        lambda: not admin.execute(_CONNECTED, [_TEMPLATE]).fetchall(), 20, "a client is still connected to the template"
    )
    for number in range(1, DATABASES):
        admin.execute(f"CREATE DATABASE shop_{number:03} TEMPLATE {_TEMPLATE} STRATEGY file_copy")
