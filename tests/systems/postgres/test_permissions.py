"""The SQL that `opscheck permissions` prints is enough for every check, and nothing of it is too much."""

import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import psycopg
import pytest

import checks.postgres
from opscheck import Expectation, PostgresTarget
from opscheck.core.observation import CouldNotObserve, ProbeError, Problem, ProblemKind
from opscheck.core.query import Permission
from opscheck.demo.postgres import PostgreSQL
from opscheck.inspection import permissions as described_permissions
from opscheck.inspection import read
from opscheck.running.checks import bound_check
from opscheck.systems.postgres.permissions import render
from opscheck.systems.postgres.probe import open_session
from opscheck.systems.postgres.server import ConnectGrant, OwnTables, RoleGrant, SequenceGrant
from opscheck.systems.postgres.settings import ConfigurationFilesGrant
from opscheck.testing import expect, judge
from tests.registries import BUNDLED
from tests.servers.looking import answers_of

FIELDS: dict[str, dict[str, Any]] = {
    "postgres.access": {},
    "postgres.activity": {"query": {"P2": "30m"}},
    "postgres.archiver": {"waiting": {"P1": "15m"}, "backlog": {"P1": 100}},
    "postgres.connections": {"used": {"P0": "90%"}},
    "postgres.indexes": {"invalid": {"P2": 0}},
    "postgres.locks": {"waiting": {"P2": "30s"}},
    "postgres.queries": {"mean": {"P2": "1s"}, "first_sample": "lifetime"},
    "postgres.query": {"sql": "SELECT count(*) FROM pg_class", "at_least": {"P2": 1}},
    "postgres.replication": {"role": "primary", "lag": {"P2": "30s"}, "severity": "P1"},
    "postgres.settings": {"settings": {"fsync": "off"}, "severity": "P1"},
    "postgres.size": {"size": {"P3": "1TB"}, "sequences": {"P2": "75%"}},
    "postgres.vacuum": {"xid_age": {"P2": "40%"}},
}
"""Something to expect of each kind, which a server that is well keeps."""
MORE: dict[str, tuple[str, dict[str, Any]]] = {
    "configuration files": ("postgres.settings", {"configuration_files": "P1", "severity": "P1"}),
    "total": ("postgres.size", {"total": {"P3": "1TB"}}),
    "elsewhere": ("postgres.size", {"sequences": {"P2": "75%"}, "databases": ["elsewhere"]}),
    "everywhere": ("postgres.vacuum", {"xid_age": {"P2": "40%"}, "dead_rows": {"P2": "500%"}, "databases": ["else*"]}),
}


@pytest.fixture(name="fresh", scope="module")
def _fresh(installation) -> Iterator[PostgreSQL]:
    """A server that has never heard of opscheck, and where only who is allowed may connect."""
    with PostgreSQL(programs=installation) as server:
        for statement in (
            "DROP ROLE opscheck",
            "CREATE DATABASE elsewhere",
            "CREATE DATABASE vault",
            *(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC" for name in ("integration_db", "elsewhere", "vault")),
        ):
            execute(server, statement)
        for database in ("integration_db", "elsewhere"):
            # In a schema that opscheck may not use: to read a sequence by its number takes no more.
            execute(server, "CREATE SCHEMA store CREATE TABLE orders (id serial)", database)
        yield server


@pytest.fixture(name="granted")
def _granted(fresh: PostgreSQL) -> PostgreSQL:
    """A server on which the printed script ran twice."""
    for _ in range(2):
        apply(fresh, printed(fresh))
    execute(fresh, f"ALTER ROLE opscheck PASSWORD '{fresh._passwords['opscheck']}'")
    return fresh


def execute(server: PostgreSQL, sql: str, database: str = "postgres") -> None:
    with psycopg.connect(server.dsn("postgres", database), autocommit=True) as connection:
        connection.execute(sql)


def apply(server: PostgreSQL, script: str) -> None:
    """As an administrator does."""
    psql = server.programs / "bin" / "psql"
    if not psql.exists():
        psql = "psql"
    words = [psql, "-Xq", "-v", "ON_ERROR_STOP=1", server.dsn("postgres", "postgres")]
    done = subprocess.run(words, input=script, capture_output=True, text=True, timeout=60, check=False)
    assert 0 == done.returncode, done.stderr


def target(server: PostgreSQL) -> PostgresTarget:
    return PostgresTarget(kind="postgres", dsn=server.dsn())


def expectations(server: PostgreSQL) -> dict[str, Expectation]:
    """One of each kind, and those of MORE, by name."""
    kinds = [name for name in BUNDLED.checks if name.startswith("postgres.")]
    named = {name: (name, FIELDS[name]) for name in kinds} | MORE
    return {
        name: expect(BUNDLED.expectation_types()[kind], target(server), **given)
        for name, (kind, given) in named.items()
    }


def permissions(expectation: Expectation) -> set[Permission]:
    aside = set(expectation.evidence_queries())
    return {one for query in expectation.described() if query not in aside for one in query.permissions()}


def printed(server: PostgreSQL) -> str:
    return render(target(server), [one for each in expectations(server).values() for one in permissions(each)])


def checks_of_postgres() -> dict[type[Expectation], Callable[..., None]]:
    found = {}
    for module in iter_modules(checks.postgres.__path__, "checks.postgres."):
        for function in vars(import_module(module.name)).values():
            bound = bound_check(function) if getattr(function, "__name__", "").startswith("test_") else None
            if bound:
                found[bound.kind] = function
    return found


def denied(server: PostgreSQL) -> dict[str, Problem]:
    """The expectations that are unknown because of a missing right, with the reason."""
    problems: dict[str, Problem] = {}
    judges = checks_of_postgres()
    try:
        session = open_session(target(server), 10)
    except ProbeError as error:
        return dict.fromkeys(expectations(server), error.problem)
    with closing(session):
        for name, expectation in expectations(server).items():
            try:
                judge(judges[type(expectation)], expectation, answers_of(session), datetime.now(UTC), earlier={})
            except CouldNotObserve as error:
                problems[name] = error.problem
    return {name: one for name, one in problems.items() if one.kind is ProblemKind.DENIED}


def needing(server: PostgreSQL, *wanted: Permission | type[Permission] | str) -> set[str]:
    """The expectations that need one of these, or a role of that name."""

    def is_wanted(permission: Permission) -> bool:
        kinds = tuple(one for one in wanted if isinstance(one, type))
        return permission in wanted or isinstance(permission, kinds) or getattr(permission, "role", None) in wanted

    found = expectations(server).items()
    return {name for name, expectation in found if any(map(is_wanted, permissions(expectation)))}


def test_every_kind_has_an_expectation_and_a_check(fresh):
    named = expectations(fresh)

    assert set(FIELDS) == {one.check for one in named.values()}
    assert {type(one) for one in named.values()} <= set(checks_of_postgres())


def test_printed_script_is_sufficient(granted):
    assert {} == denied(granted)


def test_missing_script_makes_queries_unknown(granted):
    execute(granted, "REVOKE pg_monitor FROM opscheck")
    roles = ("pg_monitor", "pg_read_all_stats", "pg_read_all_settings")
    missing = denied(granted)

    assert needing(granted, *roles) == set(missing)
    for name, problem in missing.items():
        assert any(f"GRANT {role} TO" in problem.advice for role in roles), name


def test_missing_role_affects_only_its_queries(granted):
    execute(granted, "REVOKE pg_monitor FROM opscheck")
    execute(granted, "GRANT pg_read_all_settings TO opscheck")
    try:
        missing = denied(granted)
    finally:
        execute(granted, "REVOKE pg_read_all_settings FROM opscheck")

    assert needing(granted, "pg_monitor", "pg_read_all_stats") == set(missing)


@pytest.mark.parametrize(
    ("revoke", "grant", "database", "wanted"),
    [
        (
            "SELECT ON ALL SEQUENCES IN SCHEMA store",
            "GRANT SELECT ON SEQUENCE store.orders_id_seq",
            "integration_db",
            SequenceGrant(None),
        ),
        (
            "SELECT ON ALL SEQUENCES IN SCHEMA store",
            "GRANT SELECT ON SEQUENCE store.orders_id_seq",
            "elsewhere",
            SequenceGrant("elsewhere"),
        ),
        ("SELECT ON pg_file_settings", "GRANT SELECT ON pg_file_settings", "integration_db", ConfigurationFilesGrant),
        ("EXECUTE ON FUNCTION pg_hba_file_rules()", "pg_hba_file_rules()", "integration_db", ConfigurationFilesGrant),
    ],
)
def test_missing_database_right_affects_only_its_queries(granted, revoke, grant, database, wanted):
    execute(granted, f"REVOKE {revoke} FROM opscheck", database)
    missing = denied(granted)

    assert needing(granted, wanted) == set(missing)
    assert all(grant in problem.advice for problem in missing.values())


def test_missing_connect_affects_only_its_database(granted):
    execute(granted, "REVOKE CONNECT ON DATABASE elsewhere FROM opscheck")
    missing = denied(granted)

    assert needing(granted, ConnectGrant("elsewhere"), ConnectGrant("else*")) == set(missing)
    assert all('GRANT CONNECT ON DATABASE "elsewhere"' in problem.advice for problem in missing.values())


def test_missing_connect_to_the_server_makes_all_unknown(granted):
    execute(granted, "REVOKE CONNECT ON DATABASE integration_db FROM opscheck")
    missing = denied(granted)

    assert set(expectations(granted)) == set(missing)


def rendered(dsn: str, *permissions: Permission) -> str:
    return render(PostgresTarget(kind="postgres", dsn=dsn), permissions)


def statements(script: str) -> Iterable[str]:
    return [line for line in script.splitlines() if not line.startswith("--")]


def test_roles_of_pg_monitor_are_not_granted_again():
    script = rendered(
        "host=h dbname=d", RoleGrant("pg_read_all_stats", "sessions"), RoleGrant("pg_monitor", "files of WAL")
    )

    assert "GRANT pg_monitor TO opscheck;" in statements(script)
    assert "GRANT pg_read_all_stats TO opscheck;" not in script
    assert "-- sessions (pg_read_all_stats, part of pg_monitor)" in script


def test_pg_monitor_is_granted_only_if_needed():
    script = rendered("host=h dbname=d", RoleGrant("pg_read_all_stats", "sessions"))

    assert "pg_monitor" not in script


def test_role_has_a_connection_limit():
    assert "ALTER ROLE opscheck CONNECTION LIMIT 6;" in statements(rendered("host=h dbname=d"))


def test_database_grants_follow_their_connect():
    script = rendered("host=h dbname=shop", SequenceGrant("books"), SequenceGrant(None), OwnTables("books"))
    places = [line for line in script.splitlines() if line.startswith(("\\connect", "-- The tables that"))]

    assert [
        '\\connect "shop"',
        '\\connect "books"',
        "-- The tables that the policy's sql reads; add their names:",
    ] == places


def test_pattern_grants_are_comments_for_each_database():
    script = rendered("host=h dbname=shop", SequenceGrant("books*"))

    assert "-- Once in each database that matches books*:" in script
    assert not any("SEQUENCES" in line for line in statements(script))


@pytest.mark.parametrize(
    ("pattern", "matches", "differs"),
    [
        ("app_*", "app_one", "my_app_one"),
        ("app?", "app1", "app12"),
        ("app[12]", "app2", "app3"),
        ("app[!12]", "app3", "app1"),
        ("a.b'c*", "a.b'cd", "axb'cd"),
    ],
)
def test_pattern_grants_match_the_same_databases(fresh, pattern, matches, differs):
    (line,) = (one for one in rendered("host=h", ConnectGrant(pattern)).splitlines() if "datname ~" in one)
    (expression,) = (part for part in [line.partition("datname ~ ")[2]])
    with psycopg.connect(fresh.dsn("postgres"), autocommit=True) as connection:
        found = [
            connection.execute(f"SELECT %s::text ~ {expression}", (name,)).fetchone() for name in (matches, differs)
        ]

    assert [(True,), (False,)] == found


def test_printed_database_grants_run_in_psql(fresh, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "version: 1\nenvironment: test\ntargets: {database: {kind: postgres, dsn: 'host=h dbname=elsewhere'}}\n"
        "expectations: [{id: size, check: postgres.size, target: database, sequences: {P2: 75%}}]\n"
    )
    script = described_permissions(read(policy, []), only="database")

    assert script.startswith("-- database (postgres)\n")
    apply(fresh, script)


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://u:p@h:5432/my%22db?sslmode=require",
        "host=h user=u password=p dbname='my\"db'",
    ],
)
def test_database_of_the_dsn_is_in_the_script(dsn):
    assert 'GRANT CONNECT ON DATABASE "my""db" TO opscheck;' in rendered(dsn)


def test_dsn_without_database_has_a_comment():
    sql = rendered("host=h", SequenceGrant(None))

    assert "-- If PUBLIC may not connect: GRANT CONNECT ON DATABASE … TO opscheck;" in sql
    assert "-- In the database of the dsn:" in sql


def test_secrets_are_not_printed():
    assert "hunter2" not in rendered("postgresql://u:hunter2@h/db", SequenceGrant(None))
