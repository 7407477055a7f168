"""A PgBouncer pools, makes clients wait, and is paused and disabled when a test says so."""

import psycopg
import pytest

from tests.servers.pgbouncer import PgBouncer

DATABASE = "integration_db"


@pytest.fixture(name="bouncer")
def _bouncer(cluster, pgbouncer_program):
    with PgBouncer(cluster, pgbouncer_program, databases={"reports": "dbname=integration_db pool_size=1"}) as bouncer:
        yield bouncer


def ask(dsn: str, statement: str):
    with psycopg.connect(dsn, autocommit=True, connect_timeout=5) as connection:
        return connection.execute(statement).fetchone()


def test_client_reaches_each_database(bouncer):
    for database in (DATABASE, "reports"):
        assert ("app", DATABASE) == ask(bouncer.dsn("app", database), "SELECT current_user, current_database()")


def test_console_is_read_only_for_opscheck(bouncer):
    assert ask(bouncer.dsn(), "SHOW VERSION")[0].startswith("PgBouncer 1.")
    with pytest.raises(psycopg.errors.Error, match="admin access needed"):
        ask(bouncer.dsn(), f"PAUSE {DATABASE}")


def test_clients_wait_for_a_pool_that_is_exhausted(bouncer):
    with bouncer.waiting_clients(3):
        pool = bouncer.pool()

    assert (bouncer.pool_size, 3) == (pool["sv_active"], pool["cl_waiting"])


def test_database_is_paused_disabled_and_enabled_again(bouncer):
    bouncer.pause()
    bouncer.disable()
    (row,) = (row for row in bouncer.say("SHOW DATABASES") if row["name"] == DATABASE)
    assert (1, 1) == (int(row["paused"]), int(row["disabled"]))

    with pytest.raises(psycopg.OperationalError, match="is disabled"):
        ask(bouncer.dsn("app", DATABASE), "SELECT 1")

    bouncer.resume()
    bouncer.enable()
    assert (1,) == ask(bouncer.dsn("app", DATABASE), "SELECT 1")
