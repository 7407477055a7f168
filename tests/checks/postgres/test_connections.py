"""`postgres.connections` on real servers that are healthy, full, limited, or that hide what they have."""

import os
import subprocess
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from checks.postgres.test_connections import test_clients_can_connect as check
from opscheck import PostgresTarget, Severity
from opscheck.demo.postgres import PostgreSQL, installed_versions
from opscheck.expectations.postgres.connections import PostgresConnections
from opscheck.guidance.templates import expectation_facts, render
from opscheck.judging import Findings
from opscheck.queries.observation import ProblemKind
from opscheck.record import Measurement
from opscheck.redaction import Secrets
from opscheck.testing import expect
from tests.servers.looking import look, missing

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
    ] == findings.measurements


def test_the_slots_that_clients_cannot_have_are_taken_off(judged, clients):
    clients(19)  # 63 % of max_connections, 76 % of what clients can have

    assert [Severity.P2] == [finding.severity for finding in judged().violations]


def test_a_full_server_is_the_worst_and_names_who_holds_it(judged, full):
    (finding,) = judged().violations

    assert Severity.P0 == finding.severity
    assert finding.observed == (
        "connections used 100% (25 of 25, 5 more are reserved; "
        "clients are refused, opscheck got in through a reserved connection)"
    )
    assert "at most 90%" == finding.expected
    assert ("25 by leaking-worker as app to integration_db from 127.0.0.1, idle",) == finding.evidence
    assert {
        "application": "leaking-worker",
        "holder_role": "app",
        "client": "127.0.0.1",
        "state": "idle",
        "used": "25",
        "usable": "25",
    } == finding.facts


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
    assert "at least 5" == finding.expected


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


def test_the_suggested_commands_run(server, judged, full):
    (finding,) = judged().violations
    target = PostgresTarget(kind="postgres", dsn=server.dsn("postgres"))
    facts = expectation_facts(expect(PostgresConnections, target, used=GUIDE))
    secrets = Secrets()
    secrets.add(server.dsn("postgres"), "${DATABASE_URL}")  # as the policy reader does with a variable's value
    programs = next(iter(installed_versions().values())) / "bin"
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "DATABASE_URL": server.dsn("postgres")}
    commands = [render(one, facts | finding.facts, secrets) for one in PostgresConnections.default_remediation.commands]

    shown, ended = (
        subprocess.run(["sh", "-ec", str(one)], env=environment, check=True, capture_output=True, text=True, timeout=30)
        for one in commands
    )

    assert all('psql "${DATABASE_URL}"' in str(one) for one in commands)
    assert "leaking-worker" in shown.stdout
    assert "(0 rows)" in ended.stdout  # none has been idle for ten minutes
    assert "" == shown.stderr + ended.stderr
