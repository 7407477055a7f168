"""The application's tables in the demo's database: written to day by day, and looked after."""

from datetime import datetime, timedelta

import psycopg
from psycopg import Connection

from opscheck.demo.postgres import PostgreSQL

_TABLES = """
    CREATE TABLE workflows (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text NOT NULL,
        status text NOT NULL,
        updated_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE INDEX workflows_by_status ON workflows (status, updated_at);
    CREATE TABLE executions (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        workflow bigint NOT NULL REFERENCES workflows,
        log text
    );
    CREATE INDEX executions_of_workflow ON executions (workflow);
"""
_WORK = """
    WITH written AS (
        INSERT INTO workflows (name, status, updated_at)
            SELECT 'workflow ' || n, CASE WHEN n %% 50 = 0 THEN 'running' ELSE 'completed' END,
                %(until)s - n * %(over)s::interval / %(workflows)s
            FROM generate_series(0, %(workflows)s - 1) n
            RETURNING id
    )
    INSERT INTO executions (workflow, log)
        SELECT id, repeat('step done; ', 5) FROM written, generate_series(1, 5)
"""


def create(server: PostgreSQL) -> None:
    """Create the tables as `app`, with nothing in them."""
    with _connected(server) as connection:
        connection.execute(_TABLES)


def work(server: PostgreSQL, workflows: int, *, until: datetime, over: timedelta) -> None:
    """Write so many workflows and five executions of each, the newest of them at `until`."""
    with _connected(server) as connection:
        connection.execute(_WORK, {"workflows": workflows, "until": until, "over": over})


def look_after(server: PostgreSQL) -> None:
    """Vacuum and analyze the tables, as autovacuum would do later."""
    with _connected(server) as connection:
        # Not the catalogs, of which the application owns nothing.
        connection.execute("VACUUM (ANALYZE) workflows, executions")


def _connected(server: PostgreSQL) -> "Connection[tuple[object, ...]]":
    return psycopg.connect(server.dsn("app"), autocommit=True)
