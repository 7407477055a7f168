"""Questions in several databases: one connection to each, and a database that is closed closes no other."""

from collections.abc import Callable

import pytest

from opscheck import PostgresTarget
from opscheck.core.observation import ProbeError, Problem, ProblemKind
from opscheck.demo.postgres import DATABASE
from opscheck.gathering.gatherer import Gatherer
from opscheck.gathering.plan import Asked
from opscheck.systems.postgres.indexes import ListDuplicateIndexes
from opscheck.systems.postgres.probe import PostgresSession, open_session
from opscheck.systems.postgres.server import DatabaseNames, ListDatabases
from opscheck.systems.postgres.size import LargestRelations, Sequences
from opscheck.systems.postgres.vacuum import ListTables
from opscheck.transport.processes import wait_until
from tests.registries import BUNDLED
from tests.servers.clients import superuser

OPENED = "SELECT datname FROM pg_stat_activity WHERE application_name = 'opscheck' ORDER BY datname"

Open = Callable[..., PostgresSession]


@pytest.fixture(name="databases", scope="module", autouse=True)
def _databases(cluster):
    with superuser(cluster) as admin:
        for name in ("visit_one", "visit_two", "visit_closed"):
            admin.execute(f"CREATE DATABASE {name}")
        admin.execute("REVOKE CONNECT ON DATABASE visit_closed FROM PUBLIC")
        yield
        for name in ("visit_one", "visit_two", "visit_closed"):
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(name="session")
def _session(server, stack) -> Open:
    def open_one() -> PostgresSession:
        session = open_session(PostgresTarget(kind="postgres", dsn=server.dsn()), 10)
        stack.callback(session.close)
        return session

    return open_one


def where(session: PostgresSession, database: str | None) -> str:
    return session.ask(Sequences("database", database), 10).database


def problem_of(session: PostgresSession, database: str) -> Problem:
    with pytest.raises(ProbeError) as raised:
        session.ask(Sequences("database", database), 10)
    return raised.value.problem


def opened(admin) -> list[str]:
    return [name for (name,) in admin.execute(OPENED).fetchall()]


def test_each_query_runs_in_its_database(session):
    here = session()

    assert ["visit_one", "visit_two", DATABASE] == [where(here, name) for name in ("visit_one", "visit_two", None)]


def test_connection_to_a_database_closes_before_the_next(session, admin):
    here = session()
    seen = []
    for name in ("visit_one", "visit_two", "visit_one"):
        where(here, name)
        seen.append(opened(admin))

    assert [[DATABASE, "visit_one"], [DATABASE, "visit_two"], [DATABASE, "visit_one"]] == seen


def test_queries_in_a_database_share_the_connection(session, admin):
    here = session()
    here.ask(Sequences("database", "visit_one"), 10)
    visit = here._visits["visit_one"].connection
    here.ask(LargestRelations("database", "visit_one"), 10)

    assert visit is here._visits["visit_one"].connection
    assert [DATABASE, "visit_one"] == opened(admin)


def test_databases_are_read_concurrently_over_own_connections(session, server, admin):
    target = PostgresTarget(kind="postgres", dsn=server.dsn()).named("database")
    asked = [
        Asked(kind("database", name), 10)
        for name in ("visit_one", "visit_two")
        for kind in (Sequences, LargestRelations, ListTables, ListDuplicateIndexes)
    ]
    most: set[str] = set()
    gatherer = Gatherer({"database": target}, registry=BUNDLED)
    answers = gatherer.gather(asked, lambda *_: most.update(twice(opened(admin))))
    gatherer.close()

    assert all(observation.problem is None for observation in answers.values())
    assert set() == most


def twice(names: list[str]) -> set[str]:
    """Those with more than one connection."""
    return {name for name in names if names.count(name) > 1}


def test_first_connection_serves_its_named_database(session, admin):
    here = session()

    assert DATABASE == where(here, DATABASE)
    assert [DATABASE] == opened(admin)


def test_missing_database_closes_no_other(session):
    here = session()
    problem = problem_of(here, "visit_nowhere")

    assert (ProblemKind.UNSUPPORTED, False) == (problem.kind, problem.target_down)
    assert "visit_two" == where(here, "visit_two")
    assert DATABASE == where(here, None)


def test_forbidden_database_closes_no_other_and_has_grant(session):
    here = session()
    problem = problem_of(here, "visit_closed")

    assert (ProblemKind.DENIED, False) == (problem.kind, problem.target_down)
    assert 'GRANT CONNECT ON DATABASE "visit_closed" TO "opscheck"' == problem.advice
    assert "visit_one" == where(here, "visit_one")


def test_full_database_closes_no_other(session, limit, server, stack):
    limit("DATABASE visit_one", 0)
    here = session()
    problem = problem_of(here, "visit_one")

    assert (ProblemKind.UNREACHABLE, False) == (problem.kind, problem.target_down)
    assert problem.text.startswith("refused by database visit_one: ")
    assert "visit_two" == where(here, "visit_two")


def test_ended_connection_to_a_database_is_reopened(session, admin):
    here = session()
    where(here, "visit_one")
    admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'visit_one'")

    assert "visit_one" == where(here, "visit_one")


def test_list_has_connectable_databases_and_the_current_one(session):
    listed: DatabaseNames = session().ask(ListDatabases("database"), 10)

    assert DATABASE == listed.current
    assert {DATABASE, "visit_one", "visit_two", "visit_closed"} <= set(listed.names)
    assert not {"template0", "template1"} & set(listed.names)


def test_close_leaves_no_connection_open(session, admin):
    here = session()
    where(here, "visit_one")
    here.close()

    wait_until(lambda: [] == opened(admin), 10, "a connection is left open")
