"""`postgres.access` on real servers: as a role that may look, as the application's, as a superuser."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from checks.postgres.test_access import test_opscheck_may_only_look as check
from opscheck import PostgresTarget, Severity
from opscheck.core.findings import Findings
from opscheck.demo.postgres import PostgreSQL
from opscheck.systems.postgres.access import CREATE_ROLE, DEMOTE, PostgresAccess
from tests.servers.clients import superuser
from tests.servers.looking import look
from tests.servers.typing_in import commands_of, type_in

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


def test_a_role_that_may_only_monitor_passes(judged, table):
    findings = judged()

    assert [] == told(findings)
    assert [("rights beside looking", 0, 0)] == [(one.name, one.value, one.limit) for one in findings.measurements]


def test_a_superuser_is_a_mild_finding_and_the_only_one(judged, table):
    (finding,) = judged("postgres").violations

    assert (Severity.P3, "role postgres") == (finding.severity, finding.subject)
    assert ("it is a superuser", "a role that may only look") == (finding.observed, finding.expected)
    assert {"role": "postgres"} == finding.facts
    # nobody can take it from the role that initdb made
    assert finding.remediation.commands == commands_of(CREATE_ROLE)


def test_the_policy_says_how_bad_that_is(judged):
    (finding,) = judged("postgres", severity="P1").violations

    assert Severity.P1 == finding.severity


def test_the_application_s_role_owns_what_it_should_only_read(judged, table):
    assert [
        ("role app", "it owns database integration_db"),
        ("role app", "it may change rows of table jobs"),
    ] == told(judged("app"))


def test_a_right_to_write_that_everybody_has_counts(server, judged, table):
    with psycopg.connect(server.dsn("app"), autocommit=True) as connection:
        connection.execute("GRANT UPDATE ON jobs TO PUBLIC")

    assert [("role opscheck", "it may change rows of table jobs")] == told(judged())


@pytest.mark.parametrize("attribute", ["CREATEROLE", "CREATEDB", "REPLICATION", "BYPASSRLS"])
def test_an_attribute_that_acts_is_found_unless_it_is_allowed(judged, changed, attribute):
    changed(f"ALTER ROLE opscheck {attribute}", f"ALTER ROLE opscheck NO{attribute}")

    assert [("role opscheck", f"it has {attribute}")] == told(judged())
    assert [] == told(judged(allowed=[attribute]))


@pytest.mark.parametrize("role", ["pg_execute_server_program", "pg_signal_backend"])
def test_a_membership_that_acts_is_found_unless_it_is_allowed(judged, changed, role):
    changed(f"GRANT {role} TO opscheck", f"REVOKE {role} FROM opscheck")

    assert [("role opscheck", f"it is a member of {role}")] == told(judged())
    assert [] == told(judged(allowed=[role]))


def test_who_can_become_a_superuser_is_as_good_as_one(judged, changed):
    changed("CREATE ROLE dba SUPERUSER", "DROP ROLE dba")
    changed("GRANT dba TO opscheck", "REVOKE dba FROM opscheck")

    assert [("role opscheck", "it is a member of dba")] == told(judged())


def test_what_is_suggested_takes_the_rights_away(server, judged, changed):
    changed("ALTER ROLE opscheck CREATEDB", "ALTER ROLE opscheck NOCREATEDB")
    changed("GRANT pg_signal_backend TO opscheck", "REVOKE pg_signal_backend FROM opscheck")
    found = judged().violations

    for finding in found:
        type_in(PostgresAccess, finding, server)

    assert 2 == len(found)
    assert [] == told(judged())


def test_a_superuser_of_one_s_own_making_is_made_an_ordinary_role(server, judged, changed):
    changed("ALTER ROLE opscheck SUPERUSER", "ALTER ROLE opscheck NOSUPERUSER")
    (finding,) = judged().violations

    assert {"role": "opscheck"} == finding.facts
    assert finding.remediation.commands == commands_of(CREATE_ROLE, DEMOTE)
    assert ["GRANT ROLE", "ALTER ROLE"] == [ran.split("\n")[-1] for ran in type_in(PostgresAccess, finding, server)]
    assert [] == told(judged())


def test_a_role_that_only_seems_to_be_another_is_judged_by_who_logged_in(server):
    with superuser(server) as admin:
        admin.execute("ALTER ROLE postgres SET role = opscheck")
        try:
            target = PostgresTarget(kind="postgres", dsn=server.dsn("postgres"))
            assert [("role postgres", "it is a superuser")] == told(look(check, PostgresAccess, target))
        finally:
            admin.execute("ALTER ROLE postgres RESET role")
