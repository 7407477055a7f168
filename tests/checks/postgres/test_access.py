"""`postgres.access` on real servers: as a role that may look, as the application's, as a superuser."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from checks.postgres.test_access import test_opscheck_can_only_read as check
from opscheck import PostgresTarget, Severity
from opscheck.core.findings import Findings
from opscheck.demo.postgres import PostgreSQL
from opscheck.systems.postgres.access import CREATE_ROLE, DEMOTE, PostgresAccess
from tests.servers.clients import superuser
from tests.servers.looking import look
from tests.servers.typed_commands import commands_of, type_in

Judged = Callable[..., Findings]


@pytest.fixture(name="judged")
def _judged(server: PostgreSQL) -> Judged:
    def judge_now(as_role: str = "opscheck", /, **fields: Any) -> Findings:
        return look(check, PostgresAccess, PostgresTarget(kind="postgres", dsn=server.dsn(as_role)), **fields)

    return judge_now


@pytest.fixture(name="changed")
def _changed(admin, stack) -> Callable[[str, str], None]:
    """Executes a statement, and another one when the test ends."""

    def change(statement: str, undo: str) -> None:
        stack.callback(admin.execute, undo)
        admin.execute(statement)

    return change


@pytest.fixture(name="table")
def _table(server) -> Iterator[None]:
    with psycopg.connect(server.dsn("app"), autocommit=True) as connection:
        connection.execute("CREATE TABLE jobs (id int)")
        yield
        connection.execute("DROP TABLE jobs")


def told(findings: Findings) -> list[tuple[str, str]]:
    return [(finding.subject, finding.observed) for finding in findings.violations]


def test_monitoring_role_passes(judged, table):
    findings = judged()

    assert [] == told(findings)
    assert [("rights beyond reading", 0, 0)] == [(one.name, one.value, one.limit) for one in findings.measurements]


def test_superuser_is_the_only_finding_at_p3(judged, table):
    (finding,) = judged("postgres").violations

    assert (Severity.P3, "role postgres") == (finding.severity, finding.subject)
    assert ("superuser", "a read-only role") == (finding.observed, finding.expected)
    assert {"role": "postgres"} == finding.facts
    # the role that initdb created cannot lose it
    assert finding.remediation.commands == commands_of(CREATE_ROLE)


def test_severity_comes_from_the_policy(judged):
    (finding,) = judged("postgres", severity="P1").violations

    assert Severity.P1 == finding.severity


def test_application_role_that_owns_tables_is_violated(judged, table):
    assert [
        ("role app", "owns database integration_db"),
        ("role app", "may change rows of table jobs"),
    ] == told(judged("app"))


def test_write_right_of_public_is_violated(server, judged, table):
    with psycopg.connect(server.dsn("app"), autocommit=True) as connection:
        connection.execute("GRANT UPDATE ON jobs TO PUBLIC")

    assert [("role opscheck", "may change rows of table jobs")] == told(judged())


@pytest.mark.parametrize("attribute", ["CREATEROLE", "CREATEDB", "REPLICATION", "BYPASSRLS"])
def test_acting_attribute_is_violated_unless_allowed(judged, changed, attribute):
    changed(f"ALTER ROLE opscheck {attribute}", f"ALTER ROLE opscheck NO{attribute}")

    assert [("role opscheck", f"has {attribute}")] == told(judged())
    assert [] == told(judged(allowed=[attribute]))


@pytest.mark.parametrize("role", ["pg_execute_server_program", "pg_signal_backend"])
def test_acting_membership_is_violated_unless_allowed(judged, changed, role):
    changed(f"GRANT {role} TO opscheck", f"REVOKE {role} FROM opscheck")

    assert [("role opscheck", f"member of {role}")] == told(judged())
    assert [] == told(judged(allowed=[role]))


def test_member_of_superuser_is_violated(judged, changed):
    changed("CREATE ROLE dba SUPERUSER", "DROP ROLE dba")
    changed("GRANT dba TO opscheck", "REVOKE dba FROM opscheck")

    assert [("role opscheck", "member of dba")] == told(judged())


def test_suggested_commands_remove_the_rights(server, judged, changed):
    changed("ALTER ROLE opscheck CREATEDB", "ALTER ROLE opscheck NOCREATEDB")
    changed("GRANT pg_signal_backend TO opscheck", "REVOKE pg_signal_backend FROM opscheck")
    found = judged().violations

    for finding in found:
        type_in(PostgresAccess, finding, server)

    assert 2 == len(found)
    assert [] == told(judged())


def test_suggested_command_demotes_created_superuser(server, judged, changed):
    changed("ALTER ROLE opscheck SUPERUSER", "ALTER ROLE opscheck NOSUPERUSER")
    (finding,) = judged().violations

    assert {"role": "opscheck"} == finding.facts
    assert finding.remediation.commands == commands_of(CREATE_ROLE, DEMOTE)
    assert ["GRANT ROLE", "ALTER ROLE"] == [ran.split("\n")[-1] for ran in type_in(PostgresAccess, finding, server)]
    assert [] == told(judged())


def test_session_user_is_judged_after_set_role(server):
    with superuser(server) as admin:
        admin.execute("ALTER ROLE postgres SET role = opscheck")
        try:
            target = PostgresTarget(kind="postgres", dsn=server.dsn("postgres"))
            assert [("role postgres", "superuser")] == told(look(check, PostgresAccess, target))
        finally:
            admin.execute("ALTER ROLE postgres RESET role")
