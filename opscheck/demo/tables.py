"""The application's tables in the demo's database: written to, and looked after."""

import psycopg

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
    INSERT INTO workflows (name, status)
        SELECT 'workflow ' || n, CASE WHEN n % 50 = 0 THEN 'running' ELSE 'completed' END
        FROM generate_series(1, 1000) n;
    INSERT INTO executions (workflow, log)
        SELECT 1 + n % 1000, repeat('step done; ', 5) FROM generate_series(1, 5000) n;
"""


def furnish(server: PostgreSQL) -> None:
    """Create the tables as `app`, with some rows in them, and do with them once what autovacuum would do later."""
    with psycopg.connect(server.dsn("app"), autocommit=True) as connection:
        connection.execute(_TABLES)
        # Not the catalogs, of which the application owns nothing.
        connection.execute("VACUUM (ANALYZE) workflows, executions")
