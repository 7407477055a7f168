"""Readers of queries: the package's own, and those of other systems."""

from dataclasses import dataclass
from importlib import import_module
from pkgutil import walk_packages

import pytest

from opscheck import PostgresTarget, Query
from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems import postgres
from opscheck.systems.postgres import probe
from opscheck.systems.postgres.databases import DatabaseQuery
from opscheck.systems.postgres.probe import PostgresSession, open_session
from opscheck.systems.postgres.probe.session import read_answer, reader_of
from opscheck.systems.postgres.server import RoleGrant


@dataclass(frozen=True)
class CountWaiting(DatabaseQuery[int], name="acme.waiting-jobs"):
    """A query of another system, to one of PostgreSQL's targets."""

    at_least: int = 0


@dataclass(frozen=True)
class CountFiles(DatabaseQuery[int], name="acme.files"):
    """Another one, which needs a role."""

    needs = (RoleGrant("pg_monitor", "the folder cannot be listed without it"),)


def read_waiting(session: PostgresSession, query: CountWaiting, timeout_s: float) -> int:
    """The reader of `acme.waiting-jobs`, as a descriptor names it."""
    return session.read(query, _count, timeout_s)


def _count(connection, query):
    (number,) = connection.execute(
        "SELECT count(*) FROM generate_series(1, 5) AS job WHERE job >= %s", [query.at_least]
    ).fetchone()
    return number


@pytest.fixture(name="session")
def _session(server, stack) -> PostgresSession:
    session = open_session(PostgresTarget(kind="postgres", dsn=server.dsn("app")), 10)
    stack.callback(session.close)
    return session


def test_query_of_another_system_is_answered_by_its_own_reader(session):
    assert read_waiting(session, CountWaiting("database"), 5) == 5
    assert read_waiting(session, CountWaiting("database", at_least=4), 5) == 2


def test_reader_of_another_system_runs_in_the_database_of_its_query(session):
    def where(connection, query):
        return connection.info.dbname

    assert session.read(CountWaiting("database", "postgres"), where, 5) == "postgres"
    assert session.read(CountWaiting("database"), where, 5) == "integration_db"


def test_reader_of_another_system_cannot_write(session):
    def write(connection, query):
        connection.execute("CREATE TEMPORARY TABLE written (a int)")
        connection.execute("CREATE TABLE written (a int)")

    assert "read-only" in problem_of(session, write).text


def test_reader_of_another_system_is_ended_at_its_deadline(session):
    def sleep(connection, query):
        connection.execute("SELECT pg_sleep(60)")

    assert problem_of(session, sleep, timeout_s=0.5).kind is ProblemKind.LATE


def test_query_of_another_system_is_denied_without_the_role_that_it_needs(session):
    problem = problem_of(session, _count, CountFiles("database"))

    assert problem.kind is ProblemKind.DENIED
    assert problem.advice == 'GRANT pg_monitor TO "app"'


def problem_of(session, reader, query=None, timeout_s=5):
    with pytest.raises(ProbeError) as raised:
        session.read(query or CountWaiting("database"), reader, timeout_s)
    return raised.value.problem


def test_every_query_of_postgresql_has_a_reader_and_no_reader_is_without_one():
    for module in walk_packages(postgres.__path__, f"{postgres.__name__}."):
        import_module(module.name)

    kinds = [kind for name, kind in Query.known.items() if name.startswith("postgres.")]
    modules = [import_module(module.name) for module in walk_packages(probe.__path__, f"{probe.__name__}.")]
    readers = {value for module in modules for name, value in vars(module).items() if name.startswith("read_")}

    assert readers - {read_answer} == {reader_of(kind) for kind in kinds}
    assert len(kinds) > 20


def test_query_of_another_system_without_a_reader_is_a_problem(session):
    with pytest.raises(ProbeError, match="does not answer acme"):
        session.ask(CountWaiting("database"), 5)
