"""`postgres.connections` on real servers that are healthy, full, limited, or that hide sessions."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from checks.postgres.test_connections import test_clients_can_connect as check
from opscheck import PostgresTarget, Severity
from opscheck.core.findings import Findings
from opscheck.core.observation import ProblemKind
from opscheck.core.record import Finding, Measurement
from opscheck.demo.postgres import PostgreSQL
from opscheck.systems.postgres.connections import (
    END_IDLE,
    RAISE,
    RAISE_MAX_WAL_SENDERS,
    SHOW_HOLDERS,
    SHOW_WALSENDERS,
    PostgresConnections,
    RefusedBy,
)
from tests.servers.clients import superuser
from tests.servers.looking import look, missing
from tests.servers.typed_commands import commands_of, suggested, type_command

GUIDE = {"P2": "75%", "P0": "90%"}

Judged = Callable[..., Findings]


@pytest.fixture(name="judged")
def _judged(server: PostgreSQL) -> Judged:
    def judge_now(as_role: str = "opscheck", /, **fields: Any) -> Findings:
        target = PostgresTarget(kind="postgres", dsn=server.dsn(as_role))
        return look(check, PostgresConnections, target, **(fields or {"used": GUIDE}))

    return judge_now


@pytest.fixture(name="clients")
def _clients(server: PostgreSQL, stack) -> Callable[[int], None]:
    """Opens that many connections as `app`, and holds them."""

    def connect(count: int) -> None:
        for _ in range(count):
            stack.enter_context(psycopg.connect(server.dsn("app"), application_name="shop"))

    return connect


@pytest.fixture(name="full")
def _full(server: PostgreSQL, stack) -> None:
    stack.callback(server.release_connections)
    server.fill_connections()


def test_server_with_free_connections_passes_and_is_measured(server, judged, clients):
    clients(5)
    findings = judged()

    where = f"postgresql://127.0.0.1:{server.port}/integration_db"
    assert [] == findings.violations
    assert [
        Measurement(name="connections", value=5, subject=where),
        Measurement(name="connections used", value=20, unit="%", limit=75, margin=55, subject=where),
        Measurement(name="connections free", value=20, subject=where),
        Measurement(name="walsenders", value=1, subject=where),  # the one of the fixture `admin`
        Measurement(name="walsenders used", value=10, unit="%", subject=where),
    ] == findings.measurements


def test_reserved_connections_are_subtracted(judged, clients):
    clients(19)  # 63 % of max_connections, 76 % of the clients' connections

    assert [Severity.P2] == [finding.severity for finding in judged().violations]


def test_full_server_is_the_worst_and_lists_holders(server, judged, full):
    # Before PostgreSQL 16 the server keeps connections for superusers alone.
    role, way = ("opscheck", "through a reserved connection") if server.major >= 16 else ("postgres", "as a superuser")
    (finding,) = judged(role).violations

    assert Severity.P0 == finding.severity
    assert finding.observed == (
        f"connections used 100% (25 of 25, 5 more reserved; clients are refused, opscheck connected {way})"
    )
    assert "<= 90%" == finding.expected
    assert ("25 by leaking-worker as app to integration_db from 127.0.0.1, idle",) == finding.evidence
    assert {
        "application": "leaking-worker",
        "role": "app",
        "client": "127.0.0.1",
        "state": "idle",
        "used": "25",
        "usable": "25",
        "server": f"postgresql://127.0.0.1:{server.port}/integration_db",
    } == finding.facts
    assert finding.remediation.commands == commands_of(SHOW_HOLDERS, END_IDLE, RAISE[RefusedBy.SERVER])


def test_full_server_is_violated_for_a_superuser(judged, full):
    (finding,) = judged("postgres").violations

    assert Severity.P0 == finding.severity
    assert "clients are refused, opscheck connected as a superuser" in finding.observed


def test_refused_connection_is_a_violation(judged, full):
    (finding,) = judged("app").violations

    assert Severity.P0 == finding.severity
    assert finding.observed.startswith("refused: remaining connection slots are reserved")
    assert "a connection for role app" == finding.expected


def test_refused_connection_has_the_worst_severity(judged, full):
    (finding,) = judged("app", used=GUIDE, severity="P3").violations

    assert Severity.P0 == finding.severity


def test_too_few_free_connections_are_violated(judged, clients):
    clients(22)
    (finding,) = judged(free={"P2": 5, "P1": 2}).violations

    assert (Severity.P2, "connections free 3 (22 of 25, 5 more reserved)") == (finding.severity, finding.observed)
    assert ">= 5" == finding.expected


def test_role_is_judged_by_its_own_limit(judged, clients, limit):
    limit("ROLE app", 4)
    clients(4)
    (finding,) = judged().violations

    assert (Severity.P0, "role app") == (finding.severity, finding.subject)
    assert "connections used 100% (4 of 4, its own limit)" == finding.observed


def test_database_is_judged_by_its_own_limit(judged, clients, limit):
    limit("DATABASE integration_db", 5)
    clients(4)
    (finding,) = judged().violations

    assert (Severity.P2, "database integration_db") == (finding.severity, finding.subject)


def test_free_connections_do_not_apply_to_unnamed_limits(judged, limit):
    limit("ROLE app", 3)
    findings = judged(free={"P2": 5})

    assert [] == findings.violations
    assert ["role app"] == [one.subject for one in findings.measurements if one.value == 3]


def test_named_role_is_judged_alone(judged, clients, limit):
    limit("DATABASE integration_db", 12)
    clients(11)

    assert [] == judged(role="app", used={"P1": "90%"}).violations


def test_role_without_limit_is_judged_by_its_share(judged, clients):
    clients(11)
    (finding,) = judged(role="app", used={"P1": "40%"}).violations

    assert "connections used 44% (11 of 25, the server's limit)" == finding.observed


def test_unknown_role_is_unknown(judged):
    problem = missing(lambda: judged(role="ap", used=GUIDE))

    assert (ProblemKind.UNSUPPORTED, "role ap does not exist") == (problem.kind, problem.text)


def test_missing_pg_read_all_stats_is_unknown_with_grant(judged, clients):
    clients(20)
    problem = missing(lambda: judged("app"))

    assert ProblemKind.DENIED == problem.kind
    assert "the activity of other roles is hidden" in problem.text
    assert 'GRANT pg_read_all_stats TO "app"' == problem.advice


def test_revoked_grant_is_unknown(server, judged, admin, stack):
    stack.callback(admin.execute, "GRANT pg_monitor TO opscheck")
    admin.execute("REVOKE pg_monitor FROM opscheck")

    assert 'GRANT pg_read_all_stats TO "opscheck"' == missing(judged).advice


def test_limit_of_opscheck_proves_nothing_about_another_role(judged, clients, limit):
    limit("ROLE app", 1)
    clients(1)
    problem = missing(lambda: judged("app", role="opscheck", used=GUIDE))

    assert ProblemKind.DENIED == problem.kind
    assert "raise the CONNECTION LIMIT of role app" == problem.advice


def test_named_database_is_judged_alone(judged, clients, limit):
    limit("ROLE app", 4)
    clients(4)
    (measured, *_) = judged(database="integration_db", used=GUIDE).measurements

    assert ("database integration_db", 4) == (measured.subject, measured.value)


def test_full_named_database_is_violated(judged, clients, limit):
    limit("DATABASE integration_db", 1)
    clients(1)
    (finding,) = judged(database="integration_db", used=GUIDE).violations

    assert "database integration_db" == finding.subject
    assert 'refused: too many connections for database "integration_db"' == finding.observed


def test_unused_server_passes(judged):
    # Few connections are normal: an application may be idle.
    findings = judged(used={"P1": "1%"}, free={"P1": 25})

    assert [] == findings.violations
    assert 0 == findings.measurements[0].value


def test_session_of_opscheck_is_not_counted(server, judged, stack):
    stack.enter_context(psycopg.connect(server.dsn("app")))
    (connections, *_) = judged().measurements

    assert 1 == connections.value


def test_walsenders_count_against_their_own_limit(server, judged, stack):
    stack.enter_context(superuser(server))
    findings = judged(used=GUIDE, walsenders={"P2": "10%", "P1": "90%"})

    (finding,) = findings.violations
    assert 0 == findings.measurements[0].value
    assert (Severity.P2, "walsenders used 20% (2 of 10, max_wal_senders)") == (finding.severity, finding.observed)
    assert finding.evidence[0].startswith("2 by an unnamed application as postgres to ")
    assert f"postgresql://127.0.0.1:{server.port}/integration_db" == finding.facts["server"]
    assert finding.remediation.commands == commands_of(SHOW_WALSENDERS, RAISE_MAX_WAL_SENDERS)


def test_walsenders_are_not_judged_for_one_role(judged):
    assert not [one for one in judged(role="app", used=GUIDE).measurements if one.name.startswith("walsenders")]
    assert [one for one in judged(role="app", walsenders=GUIDE).measurements if one.name.startswith("walsenders")]


def test_invalid_database_has_no_limit(judged, admin, stack):
    stack.callback(admin.execute, "DROP DATABASE half")
    admin.execute("CREATE DATABASE half")
    # As DROP DATABASE leaves it when it is interrupted.
    admin.execute("UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'half'")
    findings = judged(used={"P1": "1%"})
    problem = missing(lambda: judged(database="half", used=GUIDE))

    assert [] == findings.violations
    assert not any(one.subject == "database half" for one in findings.measurements)
    assert (ProblemKind.UNSUPPORTED, "database half does not exist") == (problem.kind, problem.text)


def test_limit_of_a_superuser_is_ignored(judged, limit):
    limit("ROLE postgres", 1)

    assert not any(one.subject == "role postgres" for one in judged().measurements)


def test_small_role_is_reported_with_its_connections(server, judged, limit, stack):
    limit("ROLE app", 2)
    stack.enter_context(psycopg.connect(server.dsn("app"), application_name="shop"))
    (finding,) = judged(used={"P2": "40%"}).violations

    assert ("1 by shop as app to integration_db from 127.0.0.1, idle",) == finding.evidence
    assert "app" == finding.facts["role"]
    assert finding.remediation.commands == commands_of(SHOW_HOLDERS, END_IDLE, RAISE[RefusedBy.ROLE])


def test_commands_for_a_full_server_log_in_as_superuser(server, judged, full):
    (finding,) = judged("app").violations
    where = f"postgresql://127.0.0.1:{server.port}/integration_db"

    assert {"server": where} == finding.facts
    shown, raised = typed_as_superuser(finding, server)
    assert "leaking-worker" in shown
    assert "ALTER SYSTEM" == raised
    # They apply after a restart; this server keeps its settings.
    with superuser(server) as connection:
        connection.execute("ALTER SYSTEM RESET max_connections")


@pytest.mark.parametrize(
    ("what", "fact", "now"),
    [
        ("ROLE app", "role", "SELECT rolconnlimit FROM pg_roles WHERE rolname = 'app'"),
        (
            "DATABASE integration_db",
            "database",
            "SELECT datconnlimit FROM pg_database WHERE datname = 'integration_db'",
        ),
    ],
)
def test_suggested_command_raises_own_connection_limit(server, judged, clients, admin, limit, what, fact, now):  # noqa: PLR0913, PLR0917 -- fixtures
    limit(what, 2)
    clients(2)
    (finding,) = judged("app").violations
    _, raised = typed_as_superuser(finding, server)

    assert what.split()[1] == finding.facts[fact]
    assert what.split()[0] in raised
    assert (4,) == admin.execute(now).fetchone()


def test_suggested_commands_for_walsenders_run(server, judged, admin, stack):
    stack.callback(admin.execute, "ALTER SYSTEM RESET max_wal_senders")
    (finding,) = judged(walsenders={"P1": "1%"}).violations
    commands = typed_as_superuser(finding, server)

    assert "ALTER SYSTEM" == commands[-1]


def typed_as_superuser(finding: Finding, server: PostgreSQL) -> list[str]:
    """The output of the suggested commands that log in as `postgres`."""
    environment = {"PGPASSWORD": conninfo_to_dict(server.dsn("postgres"))["password"]}
    commands = suggested(PostgresConnections, finding, server, used=GUIDE)
    return [type_command(one, environment) for one in commands if "-U postgres" in one]


def test_suggested_commands_run(server, judged, full):
    (finding,) = judged("postgres").violations
    commands = [one for one in suggested(PostgresConnections, finding, server, used=GUIDE) if "-U postgres" not in one]

    shown, ended = (type_command(one, {"DATABASE_URL": server.dsn("postgres")}) for one in commands)

    assert all('psql "${DATABASE_URL}"' in one for one in commands)
    assert "leaking-worker" in shown
    assert "(0 rows)" in ended  # no session has been idle for ten minutes
