"""
What a role without grants cannot see, it must not judge: the privilege matrix of PostgreSQL, on each version.

For every row there is something wrong on the server. A naive query of a role without grants shows less than there is,
or nothing at all. The check must say that it could not look, name the grant, and find the trouble once it is applied.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pkgutil import iter_modules
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

import checks.postgres
from opscheck import PostgresTarget, Severity
from opscheck.core.expectation import Expectation
from opscheck.core.observation import CouldNotObserve, ProblemKind
from opscheck.core.record import Finding
from opscheck.demo.credentials import password
from opscheck.demo.postgres import DATABASE, PostgreSQL
from tests.registries import BUNDLED
from tests.servers.clients import blocked, client, idle_in_transaction, long_query
from tests.servers.looking import look, missing

BARE = "bare"

World = Callable[[PostgreSQL], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Row:
    """One row of the matrix."""

    check: str
    """Which check judges it."""
    limits: dict[str, Any]
    """What the world breaks."""
    naive: str
    """What anybody would ask."""
    hidden: Any
    """What that shows to a role without grants; an exception where the server refuses."""
    found: str
    """What the finding's subject begins with, once it may look."""
    grants: str = "pg_read_all_stats"
    """What the advice grants."""
    world: World = field(default=lambda server: ExitStack())
    monitor: bool = True
    """Whether pg_monitor is enough."""
    contrib: bool = False


@contextmanager
def five_clients(server: PostgreSQL) -> Iterator[None]:
    with ExitStack() as opened:
        for _ in range(5):
            opened.enter_context(client(server))
        yield


@contextmanager
def made(server: PostgreSQL, *statements: str, undo: str, role: str = "app") -> Iterator[None]:
    """What was done in `integration_db`, and is undone."""
    with psycopg.connect(server.dsn(role), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)
        yield
        connection.execute(undo)


def sleeping(server: PostgreSQL) -> AbstractContextManager[Any]:
    return long_query(server, "SELECT pg_sleep(600)")


def vault(server: PostgreSQL) -> AbstractContextManager[None]:
    closed = "REVOKE CONNECT ON DATABASE vault FROM PUBLIC"
    return made(server, "CREATE DATABASE vault", closed, undo="DROP DATABASE vault", role="postgres")


def used_up(server: PostgreSQL) -> AbstractContextManager[None]:
    used = ("CREATE SEQUENCE numbers MAXVALUE 100", "SELECT setval('numbers', 99)")
    return made(server, *used, undo="DROP SEQUENCE numbers")


def slow_statement(server: PostgreSQL) -> AbstractContextManager[None]:
    counted = ("CREATE EXTENSION pg_stat_statements", "SELECT pg_stat_statements_reset()")
    executed = ("SET ROLE app", "SELECT pg_sleep(0.1)", "RESET ROLE")
    return made(server, *counted, *executed, undo="DROP EXTENSION pg_stat_statements", role="postgres")


def jobs(server: PostgreSQL) -> AbstractContextManager[None]:
    return made(server, "CREATE TABLE jobs AS SELECT 1 AS id", undo="DROP TABLE jobs")


def bad_file(server: PostgreSQL) -> AbstractContextManager[None]:
    @contextmanager
    def written() -> Iterator[None]:
        file = server.data / "postgresql.conf"
        before = file.read_text()
        file.write_text(f"{before}\nwork_mem = 'much'\n")
        yield
        file.write_text(before)

    return written()


def _checks() -> dict[type[Expectation], Callable[..., None]]:
    modules = [import_module(f"checks.postgres.{found.name}") for found in iter_modules(checks.postgres.__path__)]
    functions = [one for module in modules for name, one in vars(module).items() if name.startswith("test_")]
    return {one.__annotations__["expectation"]: one for one in functions}


CHECKS = _checks()
"""The bundled checks of PostgreSQL, by the kind of expectation that they judge."""

REFUSED = psycopg.errors.InsufficientPrivilege
ACTIVITY = "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND"

OF_SESSIONS = (five_clients, sleeping, idle_in_transaction, blocked)
"""What is wrong while somebody is connected, and over when nobody is."""

MATRIX = {
    "client backends": Row(
        check="postgres.connections",
        limits={"used": {"P1": "15%"}},
        naive=f"SELECT count(*) {ACTIVITY} backend_type = 'client backend'",
        hidden=0,
        found="postgresql://",
        world=five_clients,
    ),
    "longest active query": Row(
        check="postgres.activity",
        limits={"query": {"P1": "0s"}},
        naive=f"SELECT max(now() - query_start) {ACTIVITY} state = 'active'",
        hidden=None,
        found="pid ",
        world=sleeping,
    ),
    "longest transaction": Row(
        check="postgres.activity",
        limits={"transaction": {"P1": "0s"}},
        naive=f"SELECT max(now() - xact_start) {ACTIVITY} xact_start IS NOT NULL",
        hidden=None,
        found="pid ",
        world=sleeping,
    ),
    "idle in transaction": Row(
        check="postgres.activity",
        limits={"idle_in_transaction": {"P1": "0s"}},
        naive=f"SELECT count(*) {ACTIVITY} state LIKE 'idle in transaction%'",
        hidden=0,
        found="pid ",
        world=idle_in_transaction,
    ),
    "sessions that wait for a lock": Row(
        check="postgres.locks",
        limits={"waiting": {"P1": "0s"}},
        naive=f"SELECT count(*) {ACTIVITY} wait_event_type = 'Lock'",
        hidden=0,
        found="pid ",
        world=blocked,
    ),
    "locks that are not granted": Row(  # everybody sees these, but not who holds what they wait for
        check="postgres.locks",
        limits={"waiters": {"P1": 0}},
        naive="SELECT count(*) FROM pg_locks WHERE NOT granted",
        hidden=1,
        found="pid ",
        world=blocked,
    ),
    "the oldest snapshot": Row(
        check="postgres.vacuum",
        limits={"oldest_xmin_held": {"P1": "0s"}, "oldest_xmin": {"P1": 10_000_000}},
        naive=f"SELECT max(now() - xact_start) {ACTIVITY} backend_xmin IS NOT NULL",
        hidden=None,
        found="session ",
        world=sleeping,
    ),
    "statements of others": Row(
        check="postgres.queries",
        limits={"mean": {"P1": "1ms"}, "min_calls": 1, "first_sample": "lifetime"},
        naive="SELECT count(queryid) FROM pg_stat_statements WHERE calls > 0 AND userid::regrole::text = 'app'",
        hidden=0,
        found="statement ",
        world=slow_statement,
        contrib=True,
    ),
    "replicas": Row(
        check="postgres.replication",
        limits={"minimum": {"P1": 1}},
        naive="SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'",
        hidden=0,
        found="postgresql://",
    ),
    "the archive's folder": Row(
        check="postgres.archiver",
        limits={"backlog": {"P1": 10}},
        naive="SELECT count(*) FROM pg_ls_archive_statusdir()",
        hidden=REFUSED,
        found="postgresql://",
        grants="pg_monitor",
    ),
    "the size of a closed database": Row(
        check="postgres.size",
        limits={"size": {"P1": "1MB"}, "databases": ["vault"]},
        naive="SELECT pg_database_size('vault')",
        hidden=REFUSED,
        found="database vault",
        world=vault,
    ),
    "sequences": Row(
        check="postgres.size",
        limits={"sequences": {"P1": "75%"}},
        naive="SELECT last_value FROM pg_sequences WHERE sequencename = 'numbers'",
        hidden=None,
        found="public.numbers",
        grants="SELECT ON SEQUENCE public.numbers",
        world=used_up,
        monitor=False,
    ),
    "hidden settings": Row(
        check="postgres.settings",
        limits={"settings": {"shared_preload_libraries": "something"}, "severity": "P1"},
        naive="SELECT count(*) FROM pg_settings WHERE name = 'shared_preload_libraries'",
        hidden=0,
        found="",
        grants="pg_read_all_settings",
    ),
    "configuration files": Row(
        check="postgres.settings",
        limits={"configuration_files": True, "severity": "P1"},
        naive="SELECT count(*) FROM pg_file_settings WHERE error IS NOT NULL",
        hidden=REFUSED,
        found="",
        grants="SELECT ON pg_file_settings",
        world=bad_file,
        monitor=False,
    ),
    "a table of a team": Row(
        check="postgres.query",
        limits={"sql": "SELECT id FROM jobs", "empty": True, "severity": "P1"},
        naive="SELECT count(*) FROM jobs",
        hidden=REFUSED,
        found="",
        grants="SELECT ON jobs",
        world=jobs,
        monitor=False,
    ),
}
NOTHING_HIDDEN = {
    "postgres.access": "it judges what the role may do too much, and everybody may know the own role",
    "postgres.indexes": "every role may read the catalogues and the counters of tables",
}
"""The checks that have no row, and why."""


@pytest.fixture(name="row", params=MATRIX.values(), ids=[name.replace(" ", "-") for name in MATRIX])
def _row(request: pytest.FixtureRequest, server: PostgreSQL) -> Iterator[Row]:
    if request.param.contrib:
        request.getfixturevalue("contrib")
    with request.param.world(server):
        yield request.param


@pytest.fixture(name="bare")
def _bare(server: PostgreSQL) -> Iterator[str]:
    """The dsn of a role that may log in, and nothing else."""
    secret = password()
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {BARE} LOGIN PASSWORD '{secret}'")
        yield f"postgresql://{BARE}:{quote(secret, safe='')}@127.0.0.1:{server.port}/{DATABASE}"
        connection.execute(f"DROP OWNED BY {BARE}; DROP ROLE {BARE}")


def test_missing_grant_is_unknown_and_the_named_grant_fixes_it(server, row, bare):
    assert row.hidden == shown(bare, row.naive)
    problem = missing(lambda: judged(row, bare))
    assert ProblemKind.DENIED == problem.kind
    assert f"GRANT {row.grants}" in problem.advice

    found = judged_with_what_it_asks_for(server, row, bare)

    assert [] != [one for one in found if one.severity is Severity.P1 and one.subject.startswith(row.found)]


def test_pg_monitor_is_enough_except_for_listed_checks(server, row, bare):
    apply(server, f"GRANT pg_monitor TO {BARE}")

    if row.monitor:
        assert [] != judged(row, bare)
    else:
        assert ProblemKind.DENIED == missing(lambda: judged(row, bare)).kind


@pytest.mark.parametrize("name", [name for name, row in MATRIX.items() if row.world in OF_SESSIONS])
def test_healthy_server_passes_with_the_grant(server, bare, name):
    apply(server, f"GRANT {MATRIX[name].grants} TO {BARE}")

    assert [] == judged(MATRIX[name], bare)


def test_every_check_of_postgresql_has_a_row_or_a_reason():
    kinds = {kind.check_name for kind in CHECKS}

    assert kinds - NOTHING_HIDDEN.keys() <= {row.check for row in MATRIX.values()}


def judged(row: Row, dsn: str) -> list[Finding]:
    kind = BUNDLED.expectation_types()[row.check]
    return look(CHECKS[kind], kind, PostgresTarget(kind="postgres", dsn=dsn), **row.limits).violations


def judged_with_what_it_asks_for(server: PostgreSQL, row: Row, dsn: str) -> list[Finding]:
    """Some checks need two grants, and name one after the other."""
    for _ in range(2):
        try:
            return judged(row, dsn)
        except CouldNotObserve as error:
            apply(server, error.problem.advice)
    return judged(row, dsn)


def shown(dsn: str, statement: str) -> Any:
    with psycopg.connect(dsn, autocommit=True) as connection:
        try:
            return connection.execute(statement).fetchone()[0]
        except psycopg.errors.InsufficientPrivilege as refused:
            return type(refused)


def apply(server: PostgreSQL, advice: str) -> None:
    """Do as the advice says; what comes before the GRANT, or after it in brackets, says in which database."""
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as connection:
        connection.execute(advice[advice.index("GRANT") :].partition(" (")[0])
