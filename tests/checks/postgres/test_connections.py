"""`postgres.connections` on real servers that are healthy, full, limited, or that hide what they have."""

import os
import subprocess
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
from opscheck.demo.postgres import PostgreSQL, installed_versions
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
from tests.servers.typing_in import commands_of, suggested

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


def test_a_server_with_room_passes_and_is_measured(server, judged, clients):
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


def test_the_slots_that_clients_cannot_have_are_taken_off(judged, clients):
    clients(19)  # 63 % of max_connections, 76 % of what clients can have

    assert [Severity.P2] == [finding.severity for finding in judged().violations]


def test_a_full_server_is_the_worst_and_names_who_holds_it(server, judged, full):
    # Before PostgreSQL 16 the server keeps connections for superusers alone.
    role, way = ("opscheck", "through a reserved connection") if server.major >= 16 else ("postgres", "as a superuser")
    (finding,) = judged(role).violations

    assert Severity.P0 == finding.severity
    assert finding.observed == (
        f"connections used 100% (25 of 25, 5 more are reserved; clients are refused, opscheck got in {way})"
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


def test_a_superuser_is_not_fooled_by_getting_in(judged, full):
    (finding,) = judged("postgres").violations

    assert Severity.P0 == finding.severity
    assert "clients are refused, opscheck got in as a superuser" in finding.observed


def test_being_refused_is_the_violation_itself(judged, full):
    (finding,) = judged("app").violations

    assert Severity.P0 == finding.severity
    assert finding.observed.startswith("refused: remaining connection slots are reserved")
    assert "a connection for role app" == finding.expected


def test_being_refused_is_the_worst_even_where_the_severity_for_no_answer_is_mild(judged, full):
    (finding,) = judged("app", used=GUIDE, severity="P3").violations

    assert Severity.P0 == finding.severity


def test_too_few_free_connections_are_a_violation(judged, clients):
    clients(22)
    (finding,) = judged(free={"P2": 5, "P1": 2}).violations

    assert (Severity.P2, "connections free 3 (22 of 25, 5 more are reserved)") == (finding.severity, finding.observed)
    assert ">= 5" == finding.expected


def test_a_role_is_held_to_its_own_limit(judged, clients, limit):
    limit("ROLE app", 4)
    clients(4)
    (finding,) = judged().violations

    assert (Severity.P0, "role app") == (finding.severity, finding.subject)
    assert "connections used 100% (4 of 4, its own limit)" == finding.observed


def test_a_database_is_held_to_its_own_limit(judged, clients, limit):
    limit("DATABASE integration_db", 5)
    clients(4)
    (finding,) = judged().violations

    assert (Severity.P2, "database integration_db") == (finding.severity, finding.subject)


def test_free_connections_are_not_asked_of_limits_that_the_policy_does_not_name(judged, limit):
    limit("ROLE app", 3)
    findings = judged(free={"P2": 5})

    assert [] == findings.violations
    assert ["role app"] == [one.subject for one in findings.measurements if one.value == 3]


def test_a_role_that_is_named_is_judged_alone(judged, clients, limit):
    limit("DATABASE integration_db", 12)
    clients(11)

    assert [] == judged(role="app", used={"P1": "90%"}).violations


def test_a_role_without_a_limit_is_judged_by_its_share_of_the_server(judged, clients):
    clients(11)
    (finding,) = judged(role="app", used={"P1": "40%"}).violations

    assert "connections used 44% (11 of 25, the server's limit, it has none of its own)" == finding.observed


def test_a_role_that_does_not_exist_is_missing(judged):
    problem = missing(lambda: judged(role="ap", used=GUIDE))

    assert (ProblemKind.UNSUPPORTED, "there is no role ap") == (problem.kind, problem.text)


def test_a_role_that_sees_only_itself_is_unknown_and_names_the_grant(judged, clients):
    clients(20)
    problem = missing(lambda: judged("app"))

    assert ProblemKind.DENIED == problem.kind
    assert "what the sessions of other roles do is hidden" in problem.text
    assert 'GRANT pg_read_all_stats TO "app"' == problem.advice


def test_a_grant_that_is_taken_away_makes_it_missing(server, judged, admin, stack):
    stack.callback(admin.execute, "GRANT pg_monitor TO opscheck")
    admin.execute("REVOKE pg_monitor FROM opscheck")

    assert 'GRANT pg_read_all_stats TO "opscheck"' == missing(judged).advice


def test_the_own_limit_of_opscheck_says_nothing_about_another_role(judged, clients, limit):
    limit("ROLE app", 1)
    clients(1)
    problem = missing(lambda: judged("app", role="opscheck", used=GUIDE))

    assert ProblemKind.DENIED == problem.kind
    assert "raise the CONNECTION LIMIT of role app" == problem.advice


def test_a_database_that_is_named_is_judged_alone(judged, clients, limit):
    limit("ROLE app", 4)
    clients(4)
    (measured, *_) = judged(database="integration_db", used=GUIDE).measurements

    assert ("database integration_db", 4) == (measured.subject, measured.value)


def test_the_limit_of_the_database_that_is_named_is_the_violation(judged, clients, limit):
    limit("DATABASE integration_db", 1)
    clients(1)
    (finding,) = judged(database="integration_db", used=GUIDE).violations

    assert "database integration_db" == finding.subject
    assert 'refused: too many connections for database "integration_db"' == finding.observed


def test_a_server_that_nobody_uses_passes(judged):
    # Few connections are no sign of trouble: an application may have nothing to do.
    findings = judged(used={"P1": "1%"}, free={"P1": 25})

    assert [] == findings.violations
    assert 0 == findings.measurements[0].value


def test_the_session_of_opscheck_is_not_counted(server, judged, stack):
    stack.enter_context(psycopg.connect(server.dsn("app")))
    (connections, *_) = judged().measurements

    assert 1 == connections.value


def test_walsenders_have_places_of_their_own(server, judged, stack):
    stack.enter_context(superuser(server))
    findings = judged(used=GUIDE, walsenders={"P2": "10%", "P1": "90%"})

    (finding,) = findings.violations
    assert 0 == findings.measurements[0].value
    assert (Severity.P2, "walsenders used 20% (2 of 10, max_wal_senders)") == (finding.severity, finding.observed)
    assert finding.evidence[0].startswith("2 by an application without a name as postgres to ")
    assert f"postgresql://127.0.0.1:{server.port}/integration_db" == finding.facts["server"]
    assert finding.remediation.commands == commands_of(SHOW_WALSENDERS, RAISE_MAX_WAL_SENDERS)


def test_walsenders_are_not_asked_of_one_role(judged):
    assert not [one for one in judged(role="app", used=GUIDE).measurements if one.name.startswith("walsenders")]
    assert [one for one in judged(role="app", walsenders=GUIDE).measurements if one.name.startswith("walsenders")]


def test_a_database_that_was_left_invalid_has_no_limit_and_lets_nobody_in(judged, admin, stack):
    stack.callback(admin.execute, "DROP DATABASE half")
    admin.execute("CREATE DATABASE half")
    # As DROP DATABASE leaves it when it is interrupted.
    admin.execute("UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'half'")
    findings = judged(used={"P1": "1%"})
    problem = missing(lambda: judged(database="half", used=GUIDE))

    assert [] == findings.violations
    assert not any(one.subject == "database half" for one in findings.measurements)
    assert (ProblemKind.UNSUPPORTED, "there is no database half") == (problem.kind, problem.text)


def test_a_limit_of_its_own_that_a_superuser_has_is_ignored_as_the_server_does(judged, limit):
    limit("ROLE postgres", 1)

    assert not any(one.subject == "role postgres" for one in judged().measurements)


def test_a_role_that_holds_little_of_the_server_is_told_with_what_it_holds(server, judged, limit, stack):
    limit("ROLE app", 2)
    stack.enter_context(psycopg.connect(server.dsn("app"), application_name="shop"))
    (finding,) = judged(used={"P2": "40%"}).violations

    assert ("1 by shop as app to integration_db from 127.0.0.1, idle",) == finding.evidence
    assert "app" == finding.facts["role"]
    assert finding.remediation.commands == commands_of(SHOW_HOLDERS, END_IDLE, RAISE[RefusedBy.ROLE])


def test_of_a_server_that_refuses_opscheck_the_commands_go_in_as_a_superuser(server, judged, full):
    (finding,) = judged("app").violations
    where = f"postgresql://127.0.0.1:{server.port}/integration_db"

    assert {"server": where} == finding.facts
    shown, raised = typed_as_superuser(finding, server)
    assert "leaking-worker" in shown
    assert "ALTER SYSTEM" == raised
    # The server takes them at its next start; this one goes on with what it has.
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
def test_a_limit_of_its_own_that_refuses_opscheck_can_be_raised(server, judged, clients, admin, limit, what, fact, now):  # noqa: PLR0913, PLR0917 -- fixtures
    limit(what, 2)
    clients(2)
    (finding,) = judged("app").violations
    _, raised = typed_as_superuser(finding, server)

    assert what.split()[1] == finding.facts[fact]
    assert what.split()[0] in raised
    assert (4,) == admin.execute(now).fetchone()


def test_of_walsenders_without_a_place_the_commands_run(server, judged, admin, stack):
    stack.callback(admin.execute, "ALTER SYSTEM RESET max_wal_senders")
    (finding,) = judged(walsenders={"P1": "1%"}).violations
    commands = typed_as_superuser(finding, server)

    assert "ALTER SYSTEM" == commands[-1]


def typed_as_superuser(finding: Finding, server: PostgreSQL) -> list[str]:
    """What the suggested commands printed that log in as `postgres`."""
    environment = {"PGPASSWORD": conninfo_to_dict(server.dsn("postgres"))["password"]}
    commands = suggested(PostgresConnections, finding, server, used=GUIDE)
    return [typed(one, environment) for one in commands if "-U postgres" in one]


def typed(command: str, environment: dict[str, str]) -> str:
    programs = next(iter(installed_versions().values())) / "bin"
    environment |= {"PATH": f"{programs}:{os.environ['PATH']}", "PGCONNECT_TIMEOUT": "10"}
    ran = subprocess.run(
        ["sh", "-ec", command], env=environment, check=True, capture_output=True, text=True, timeout=30
    )
    assert "" == ran.stderr
    return ran.stdout.strip()


def test_the_suggested_commands_run(server, judged, full):
    (finding,) = judged("postgres").violations
    commands = [one for one in suggested(PostgresConnections, finding, server, used=GUIDE) if "-U postgres" not in one]

    shown, ended = (typed(one, {"DATABASE_URL": server.dsn("postgres")}) for one in commands)

    assert all('psql "${DATABASE_URL}"' in one for one in commands)
    assert "leaking-worker" in shown
    assert "(0 rows)" in ended  # none has been idle for ten minutes
