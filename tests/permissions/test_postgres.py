"""The SQL that `opscheck permissions` prints is enough, and nothing of it is too much."""

import psycopg
import pytest

from checks.postgres.test_connections import test_clients_can_connect as check
from opscheck import PostgresTarget
from opscheck.demo.postgres import PostgreSQL
from opscheck.expectations.postgres.connections import PostgresConnections
from opscheck.judging import Findings
from opscheck.permissions.postgres import render
from opscheck.queries.observation import CouldNotObserve
from opscheck.testing import expect
from tests.servers.looking import look


@pytest.fixture(name="fresh", scope="module")
def _fresh(installation):
    """A server that has never heard of opscheck, and where only who is allowed may connect."""
    with PostgreSQL(programs=installation) as server:
        execute(server, "DROP ROLE opscheck; REVOKE CONNECT ON DATABASE integration_db FROM PUBLIC")
        yield server


def execute(server: PostgreSQL, sql: str) -> None:
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as connection:
        connection.execute(sql)


def target(server: PostgreSQL) -> PostgresTarget:
    return PostgresTarget(kind="postgres", dsn=server.dsn())


def expectation(server: PostgreSQL) -> PostgresConnections:
    return expect(PostgresConnections, target(server), used={"P0": "90%"})


def permissions(server: PostgreSQL) -> str:
    return render(target(server), [one for query in expectation(server).queries() for one in query.permissions()])


def judged(server: PostgreSQL) -> Findings:
    execute(server, f"ALTER ROLE opscheck PASSWORD '{server._passwords['opscheck']}'")
    return look(check, PostgresConnections, target(server), used={"P0": "90%"})


def test_what_is_printed_is_enough_and_can_be_applied_again(fresh):
    execute(fresh, permissions(fresh))
    execute(fresh, permissions(fresh))
    findings = judged(fresh)

    assert [] == findings.violations
    assert findings.measurements


def test_without_the_grant_it_is_unknown(fresh):
    execute(fresh, "\n".join(line for line in permissions(fresh).splitlines() if "pg_read_all_stats" not in line))
    execute(fresh, "REVOKE pg_read_all_stats FROM opscheck")

    with pytest.raises(CouldNotObserve) as raised:
        judged(fresh)

    assert 'GRANT pg_read_all_stats TO "opscheck"' == raised.value.problem.advice


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://u:p@h:5432/my%22db?sslmode=require",
        "host=h user=u password=p dbname='my\"db'",
    ],
)
def test_the_database_of_the_dsn_is_named(dsn):
    assert 'GRANT CONNECT ON DATABASE "my""db" TO opscheck;' in render(PostgresTarget(kind="postgres", dsn=dsn), [])


def test_a_dsn_without_a_database_leaves_it_to_the_reader():
    sql = render(PostgresTarget(kind="postgres", dsn="host=h"), [])

    assert "-- Where PUBLIC may not connect: GRANT CONNECT ON DATABASE … TO opscheck;" in sql


def test_no_secret_is_printed():
    assert "hunter2" not in render(PostgresTarget(kind="postgres", dsn="postgresql://u:hunter2@h/db"), [])
