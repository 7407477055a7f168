"""Fixtures with real PostgreSQL servers, for the tests of everything that reads or judges one."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, TypeAlias

import psycopg
import pytest

from opscheck.demo.postgres import PostgreSQL, installed_versions
from opscheck.demo.processes import wait_until

Admin: TypeAlias = psycopg.Connection[tuple[Any, ...]]
Limit: TypeAlias = Callable[[str, int], None]

_CLIENTS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"


@pytest.fixture(scope="session", params=sorted(installed_versions()))
def cluster(request: pytest.FixtureRequest) -> Iterator[PostgreSQL]:
    """A server of each version that is there."""
    with PostgreSQL(request.param) as server:
        yield server


@pytest.fixture(scope="session")
def admin(cluster: PostgreSQL) -> Iterator[Admin]:
    """A superuser. It comes as a walsender, so that it is no client that anybody counts."""
    dsn = cluster.dsn("postgres", "postgres")
    # Walsenders do not speak the protocol of prepared statements.
    with psycopg.connect(dsn, replication="database", autocommit=True, prepare_threshold=None) as connection:
        yield connection


@pytest.fixture
def server(cluster: PostgreSQL, admin: Admin) -> PostgreSQL:
    """The server without any client: a session ends a moment after its client has gone."""
    wait_until(lambda: admin.execute(_CLIENTS).fetchone() == (0,), 10, "clients of an earlier test are still there")
    return cluster


@pytest.fixture
def own_server() -> Iterator[PostgreSQL]:
    """A server that the test may stop or change."""
    with PostgreSQL() as server:
        yield server


@pytest.fixture
def limit(admin: Admin) -> Iterator[Limit]:
    """Sets a CONNECTION LIMIT, on `ROLE app` for example, and takes it off again."""
    with ExitStack() as undo:

        def set_limit(what: str, connections: int) -> None:
            undo.callback(admin.execute, f"ALTER {what} CONNECTION LIMIT -1")
            admin.execute(f"ALTER {what} CONNECTION LIMIT {connections}")

        yield set_limit


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Closes at the end of the test what the test puts into it."""
    with ExitStack() as opened:
        yield opened
