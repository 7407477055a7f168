"""A scratch server is used only where it says that it is one; a database of the drill's own, and nothing else of it."""

import subprocess

import pytest
from psycopg import sql

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.postgres.permissions import render
from opscheck.systems.postgres.programs import installations
from opscheck.systems.postgres.server import MakeDatabases
from opscheck.systems.postgres.target import PostgresTarget
from opscheck.systems.recovery.probe.drilling.programs import Programs
from opscheck.systems.recovery.probe.drilling.server import Settings, scratch_database


def dsn_of(scratch, database, login="drill:a%2Fb%40c%20drill"):
    return f"postgresql://{login}@127.0.0.1:{scratch.server.port}/{database}"


@pytest.fixture(name="database")
def _database(scratch):
    """Makes databases of the drill's role, gone after the test."""
    made = []

    def make(name, *statements):
        made.append(name)
        with scratch.admin() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER drill").format(sql.Identifier(name)))
        with scratch.admin(name) as connection:
            for statement in statements:
                connection.execute(statement)
        return dsn_of(scratch, name)

    yield make
    with scratch.admin() as connection:
        for name in made:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def refused(restore, dsn):
    with pytest.raises(ProbeError) as told:
        restore("16.dump", dsn=dsn)
    assert told.value.problem.advice or told.value.problem.kind is ProblemKind.UNREACHABLE
    return told.value.problem


def test_a_database_that_is_not_named_scratch_is_left_alone(restore, database):
    problem = refused(restore, database("orders"))

    assert (ProblemKind.UNSUPPORTED, True) == (problem.kind, "orders is not named scratch" in problem.text)


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("CREATE TABLE customers (id int)", "customers"),
        ("CREATE VIEW seen AS SELECT 1", "seen"),
        ("CREATE SCHEMA shop CREATE TABLE orders (id int)", "shop.orders"),
        ("CREATE SEQUENCE numbers", "numbers"),
    ],
)
def test_a_database_that_is_not_empty_is_left_alone(restore, database, statement, found):
    problem = refused(restore, database("used_scratch", statement))

    assert (ProblemKind.UNSUPPORTED, True) == (problem.kind, f"{found} is in it" in problem.text)


def test_a_role_that_may_make_no_database_is_reported_what_it_lacks(restore, scratch):
    with scratch.admin() as connection:
        connection.execute("CREATE ROLE poor LOGIN PASSWORD 'poor'")
    try:
        problem = refused(restore, dsn_of(scratch, "drill_scratch", "poor:poor"))
    finally:
        with scratch.admin() as connection:
            connection.execute("DROP ROLE poor")

    assert (ProblemKind.DENIED, True) == (problem.kind, "CREATEDB" in problem.advice)


def test_a_server_that_is_not_there_is_unknown(restore):
    problem = refused(restore, "postgresql://drill:secret@127.0.0.1:1/scratch")

    assert ProblemKind.UNREACHABLE == problem.kind
    assert "secret" not in problem.text


def test_other_databases_of_the_server_stay_as_they_are(restore, scratch, database):
    database("orders", "CREATE TABLE kept (id int)", "INSERT INTO kept VALUES (1)")

    restore("16-create.sql")

    with scratch.admin("orders") as connection:
        assert (1,) == connection.execute("SELECT count(*) FROM kept").fetchone()


def test_the_printed_grants_are_enough(restore, scratch):
    script = render(PostgresTarget(kind="postgres", dsn=scratch.dsn, scratch=True), [MakeDatabases()])
    psql = scratch.server.programs / "bin" / "psql"
    as_admin = [psql, "-Xq", "-v", "ON_ERROR_STOP=1", scratch.server.dsn("postgres", "postgres")]
    subprocess.run(
        as_admin, input=f"{script}ALTER ROLE opscheck PASSWORD 'granted';", text=True, check=True, timeout=30
    )

    drill = restore("16.dump", dsn=dsn_of(scratch, "drill_scratch", "opscheck:granted"))

    assert () == drill.reasons


def test_database_that_cannot_be_dropped_is_reported_with_what_to_type(scratch, tmp_path):
    def on_created():
        pass

    found = installations("psql", "pg_restore")[0]
    settings, name = Settings("UTF8", "UTC"), "opscheck_drill_kept"
    dsn = dsn_of(scratch, "drill_scratch")
    with (
        pytest.raises(ProbeError, match="opscheck_drill_kept is still on the scratch server") as told,
        scratch_database(Programs(found, tmp_path), dsn, name, settings, on_created),
        scratch.admin() as connection,
    ):
        connection.execute("ALTER DATABASE opscheck_drill_kept OWNER TO postgres")

    with scratch.admin() as connection:
        connection.execute("DROP DATABASE opscheck_drill_kept")
    assert 'DROP DATABASE "opscheck_drill_kept"' == told.value.problem.advice
