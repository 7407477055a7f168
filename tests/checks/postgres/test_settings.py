"""`postgres.settings` on real servers: wrong, pending, missing and changed settings, and half-dropped databases."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from checks.postgres.test_settings import test_server_is_configured_as_required as check
from opscheck import PostgresTarget, Severity
from opscheck.core.findings import Findings
from opscheck.core.observation import ProblemKind
from opscheck.core.record import Measurement
from opscheck.demo.postgres import PostgreSQL
from opscheck.systems.postgres.releases import KNOWN_ON
from opscheck.systems.postgres.settings import SET, PostgresSettings
from opscheck.transport.processes import wait_until
from tests.servers.looking import look, missing
from tests.servers.typed_commands import commands_of, type_in

Judged = Callable[..., Findings]
Superuser = psycopg.Connection[Any]


def settings(**fields: Any) -> dict[str, Any]:
    return {"severity": "P2"} | fields


@pytest.fixture(name="judged")
def _judged(server: PostgreSQL) -> Judged:
    def judge_now(as_role: str = "opscheck", /, **fields: Any) -> Findings:
        now = fields.pop("now", datetime.combine(KNOWN_ON, datetime.min.time(), UTC))
        target = PostgresTarget(kind="postgres", dsn=server.dsn(as_role))
        return look(check, PostgresSettings, target, now=now, **settings(**fields))

    return judge_now


@pytest.fixture(name="dba")
def _dba(server: PostgreSQL) -> Iterator[Superuser]:
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as connection:
        yield connection


@pytest.fixture(name="set_to")
def _set_to(server: PostgreSQL, dba: Superuser, stack) -> Callable[[str, str], None]:
    """Sets a setting for all clients, until the test ends."""

    def set_to(name: str, value: str) -> None:
        stack.callback(_set, dba, f"ALTER SYSTEM RESET {name}")
        _set(dba, f"ALTER SYSTEM SET {name} = '{value}'")
        wait_until(lambda: _is_from_a_file(server, name), 10, f"{name} stays what it was")

    return set_to


def _set(dba: Superuser, statement: str) -> None:
    dba.execute(statement)
    dba.execute("SELECT pg_reload_conf()")


def _is_from_a_file(server: PostgreSQL, name: str) -> bool:
    with psycopg.connect(server.dsn("postgres")) as fresh:
        source = fresh.execute("SELECT source FROM pg_settings WHERE name = %s", (name,)).fetchone()
    return source == ("configuration file",)


def told(findings: Findings) -> list[tuple[str, str, str]]:
    return [(finding.subject, finding.observed, finding.expected) for finding in findings.violations]


# -- settings --------------------------------------------------------------------------------------------------------


def test_correct_settings_pass(judged):
    wanted = {
        "fsync": "off",
        "full_page_writes": True,
        "max_connections": {"at_least": 30},
        "work_mem": "4MB",
        "wal_level": {"one_of": ["replica", "logical"]},
        "max_slot_wal_keep_size": -1,
        "statement_timeout": 0,
        "TimeZone": {"other_than": ""},
        "autovacuum_vacuum_cost_delay": "2ms",
    }

    findings = judged(settings=wanted)

    assert [] == told(findings)
    assert [Measurement(name="faults", value=0, limit=0, margin=0)] == findings.measurements


def test_wrong_setting_is_reported_with_value_and_file(judged):
    (finding,) = judged(settings={"fsync": {"equals": True, "severity": "P0"}, "full_page_writes": "on"}).violations

    assert (Severity.P0, "setting fsync", "on") == (finding.severity, finding.subject, finding.expected)
    assert finding.observed.startswith("fsync is off (set in /")
    assert "postgresql.conf:" in finding.observed
    assert {"setting": "fsync", "wanted": "on"} == finding.facts
    assert finding.remediation.commands == commands_of(SET)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"at_least": "8MB"}, ">= 8MB"),
        ({"at_most": "4095kB"}, "<= 4095kB"),
        ({"at_most": 4095}, "<= 4095"),
        ("5MB", "5MB"),
        ({"one_of": ["1GB", "2GB"]}, "one of 1GB, 2GB"),
        ({"other_than": "4096kB"}, "not 4096kB"),
    ],
)
def test_amounts_are_compared_with_their_units(judged, rule, expected):
    assert [("setting work_mem", "work_mem is 4MB (default)", expected)] == told(judged(settings={"work_mem": rule}))


def test_pages_are_compared_in_bytes(judged):
    assert [("setting shared_buffers", "128MB")] == [
        (subject, observed.split()[2]) for subject, observed, _ in told(judged(settings={"shared_buffers": "1GB"}))
    ]


def test_unlimited_value_exceeds_any_amount(judged):
    limits = {"max_slot_wal_keep_size": {"at_most": "100GB"}, "statement_timeout": {"at_most": "60s"}}

    assert [
        "max_slot_wal_keep_size is -1 (default)",
        "statement_timeout is 0",
    ] == [observed for _, observed, _ in told(judged(settings=limits))]
    assert [] == told(judged(settings={"max_slot_wal_keep_size": {"at_least": "100GB"}}))


def test_own_transaction_limits_are_not_judged(judged):
    limits = {"statement_timeout": 0, "lock_timeout": 0, "idle_in_transaction_session_timeout": 0, "jit": "off"}

    assert ["jit is on"] == [observed for _, observed, _ in told(judged(settings=limits))]


def test_fallback_setting_is_judged(judged):
    (finding,) = judged(settings={"autovacuum_work_mem": {"at_least": "1GB"}}).violations

    assert "autovacuum_work_mem is 64MB (from maintenance_work_mem: autovacuum_work_mem is -1)" == finding.observed


def test_setting_of_own_role_is_unknown(judged, dba, stack):
    stack.callback(dba.execute, "ALTER ROLE opscheck RESET work_mem")
    dba.execute("ALTER ROLE opscheck SET work_mem = '64MB'")
    problem = missing(lambda: judged(settings={"work_mem": "64MB", "fsync": "off"}))

    assert "work_mem is set by opscheck's role" in problem.text
    assert problem.advice.startswith('ALTER ROLE "opscheck" RESET work_mem')


def test_setting_of_own_dsn_is_unknown(server):
    target = PostgresTarget(kind="postgres", dsn=f"{server.dsn()}?options=-c%20statement_timeout%3D1s")
    problem = missing(lambda: look(check, PostgresSettings, target, **settings(settings={"statement_timeout": "1s"})))

    assert "statement_timeout is set by opscheck's role" in problem.text


def test_missing_setting_is_unknown(judged):
    kept = {"fsync": "on", "work_men": "4MB"}
    problem = missing(lambda: judged(settings=kept))

    assert (ProblemKind.UNSUPPORTED, True) == (problem.kind, problem.text.startswith("setting work_men does not exist"))


def test_invalid_value_is_unknown(judged):
    assert "fsync is on or off; 4MB is not a valid value" == missing(lambda: judged(settings={"fsync": "4MB"})).text
    assert "work_mem is measured in kB, but 5min is not" == missing(lambda: judged(settings={"work_mem": "5min"})).text
    assert "wal_level is not a number but of type enum" == (
        missing(lambda: judged(settings={"wal_level": {"at_least": 3}})).text
    )


def test_secret_in_a_setting_is_not_read(judged, set_to):
    set_to("primary_conninfo", "host=replica password=hunter2")
    problem = missing(lambda: judged(settings={"primary_conninfo": {"other_than": ""}}))

    assert "primary_conninfo seems to contain a secret, which opscheck does not read" == problem.text


def test_hidden_settings_are_denied_with_grant(judged):
    problem = missing(lambda: judged("app", settings={"fsync": "on"}))

    assert (ProblemKind.DENIED, 'GRANT pg_read_all_settings TO "app"') == (problem.kind, problem.advice)


def test_suggested_command_changes_the_setting(server, judged, dba, stack):
    wanted = {"work_mem": {"at_least": "8MiB"}}
    (finding,) = judged(settings=wanted).violations
    stack.callback(_set, dba, "ALTER SYSTEM RESET work_mem")
    type_in(PostgresSettings, finding, server, **settings(settings=wanted))

    wait_until(lambda: not judged(settings=wanted).violations, 10, "work_mem stays what it was")


# -- restarts and files ----------------------------------------------------------------------------------------------


def test_settings_without_pending_restart_pass(judged):
    assert [] == told(judged(pending_restart=True))


def test_pending_restart_is_violated(own_server):
    target = PostgresTarget(kind="postgres", dsn=own_server.dsn())
    with psycopg.connect(own_server.dsn("postgres"), autocommit=True) as dba:
        _set(dba, "ALTER SYSTEM SET max_connections = 40")
    wait_until(lambda: look(check, PostgresSettings, target, **settings(pending_restart="P1")).violations, 10, "not")
    (finding,) = look(check, PostgresSettings, target, **settings(pending_restart="P1")).violations

    assert (Severity.P1, "setting max_connections") == (finding.severity, finding.subject)
    assert finding.observed.startswith("max_connections is 30, and changes at the next restart")
    assert "max_connections" in type_in(PostgresSettings, finding, own_server, **settings(pending_restart=True))[0]


def test_errors_in_configuration_files_are_violated(own_server):
    with psycopg.connect(own_server.dsn("postgres"), autocommit=True) as dba:
        dba.execute("GRANT SELECT ON pg_file_settings, pg_hba_file_rules TO opscheck")
        dba.execute("GRANT EXECUTE ON FUNCTION pg_show_all_file_settings(), pg_hba_file_rules() TO opscheck")
    target = PostgresTarget(kind="postgres", dsn=own_server.dsn())
    fields = settings(configuration_files="P1")

    assert [] == told(look(check, PostgresSettings, target, **fields))

    with (own_server.data / "postgresql.conf").open("a") as file:
        file.write("work_men = 4MB\n")
    with (own_server.data / "pg_hba.conf").open("a") as file:
        file.write("host all all nowhere scram\n")
    rules, conf = look(check, PostgresSettings, target, **fields).violations

    assert ["pg_hba.conf", "postgresql.conf"] == [one.subject.rpartition("/")[2].split(":")[0] for one in (rules, conf)]
    assert (Severity.P1, True) == (conf.severity, "work_men" in conf.observed)
    assert "work_men" in type_in(PostgresSettings, conf, own_server, **fields)[0]


def test_unreadable_files_are_denied_with_grants(judged):
    problem = missing(lambda: judged(configuration_files=True))

    assert ProblemKind.DENIED == problem.kind
    assert 'GRANT SELECT ON pg_file_settings, pg_hba_file_rules TO "opscheck"; GRANT EXECUTE' in problem.advice


# -- extensions ------------------------------------------------------------------------------------------------------


def test_installed_extension_passes(judged):
    assert [] == told(judged(extensions={"plpgsql": ">= 1.0"}, outdated_extensions=True))
    assert [] == told(judged(extensions={"plpgsql": "any"}, databases=["*"]))


def test_missing_extension_is_reported_per_database(judged):
    findings = judged(extensions={"postgis": {"version": ">= 3.4", "severity": "P3"}}, databases=["integ*", "postgres"])

    assert [
        (Severity.P3, f"extension postgis in database {name}", "not installed; the server has no files of it")
        for name in ("integration_db", "postgres")
    ] == [(one.severity, one.subject, one.observed) for one in findings.violations]


def test_wrong_extension_version_is_violated(judged):
    assert [("extension plpgsql in database integration_db", "version 1.0", ">= 1.0.1")] == told(
        judged(extensions={"plpgsql": ">= 1.0.1"})
    )


def test_suggested_command_creates_the_extension(contrib, server, judged, dba, stack):
    (finding,) = judged(extensions={"pgstattuple": "any"}).violations
    stack.callback(dba.execute, "DROP EXTENSION IF EXISTS pgstattuple")
    type_in(PostgresSettings, finding, server, **settings(extensions={"pgstattuple": "any"}))

    assert [] == told(judged(extensions={"pgstattuple": "any"}))


def test_outdated_extension_is_updated_by_the_command(contrib, server, judged, dba, stack):
    stack.callback(dba.execute, "DROP EXTENSION pg_stat_statements")
    dba.execute("CREATE EXTENSION pg_stat_statements VERSION '1.4'")
    (finding,) = judged(outdated_extensions="P3").violations

    assert (Severity.P3, "version 1.4") == (finding.severity, finding.observed)
    type_in(PostgresSettings, finding, server, **settings(outdated_extensions=True))
    assert [] == told(judged(outdated_extensions=True))


# -- data that can be trusted ----------------------------------------------------------------------------------------


def test_failures_are_unknown_without_checksums(server, judged):
    found = told(judged(checksums="P3"))

    if server.major >= 18:  # initdb switches them on
        assert [] == found
        assert [] == told(judged(checksum_failures="P0"))
    else:
        assert ["data checksums"] == [subject for subject, _, _ in found]
        assert "data checksums are off" in missing(lambda: judged(checksum_failures="P0")).text


@pytest.mark.since_postgres(18)  # whose initdb switches checksums on; the programs of the others have no pg_checksums
def test_corrupt_page_is_violated(own_server):
    with psycopg.connect(own_server.dsn("app"), autocommit=True) as app:
        app.execute("CREATE TABLE accounts AS SELECT generate_series(1, 10000) AS id")
        (path,) = app.execute("SELECT pg_relation_filepath('accounts')").fetchone()
    own_server.stop()
    with (own_server.data / path).open("r+b") as file:
        file.seek(8192 + 4000)
        file.write(b"\0changed\0")
    own_server.start()
    with psycopg.connect(own_server.dsn("app"), autocommit=True) as app, pytest.raises(psycopg.errors.DataCorrupted):
        app.execute("SELECT count(*) FROM accounts")
    target = PostgresTarget(kind="postgres", dsn=own_server.dsn())
    fields = settings(checksums="P3", checksum_failures="P0")
    wait_until(lambda: look(check, PostgresSettings, target, **fields).violations, 10, "it is not counted")
    (finding,) = look(check, PostgresSettings, target, **fields).violations

    assert (Severity.P0, "database integration_db", "1 checksum failure") == (
        finding.severity,
        finding.subject,
        finding.observed,
    )
    assert finding.since is not None
    assert "integration_db" in type_in(PostgresSettings, finding, own_server, **fields)[0]


def _sorted_by(server: PostgreSQL) -> str | None:
    """A way to sort whose version is known, as SQL; None where these programs have none."""
    if server.major >= 17:
        return "builtin"
    return "icu" if server.has_contrib else None


@pytest.fixture(name="provider")
def _provider(server: PostgreSQL) -> str:
    provider = _sorted_by(server)
    if provider is None:
        pytest.skip("these programs know no collation with a version")
    return provider


@pytest.mark.since_postgres(15)  # databases have a version of their collation
def test_changed_database_collation_is_violated(server, judged, dba, stack, provider):
    locale = "BUILTIN_LOCALE 'C.UTF-8'" if provider == "builtin" else "ICU_LOCALE 'en'"
    stack.callback(dba.execute, "DROP DATABASE sorted")
    dba.execute(f"CREATE DATABASE sorted TEMPLATE template0 LOCALE_PROVIDER {provider} {locale} LOCALE 'C'")

    assert [] == told(judged(collations="P1"))

    dba.execute("UPDATE pg_database SET datcollversion = '0.1' WHERE datname = 'sorted'")
    (finding,) = judged(collations="P1").violations

    assert (Severity.P1, "database sorted") == (finding.severity, finding.subject)
    assert "indexes were built with 0.1" in finding.observed
    type_in(PostgresSettings, finding, server, **settings(collations=True))
    assert [] == told(judged(collations="P1"))


def test_changed_column_collation_is_violated(server, judged, dba, stack, provider):
    locale = "C.UTF-8" if provider == "builtin" else "en"
    stack.callback(dba.execute, "DROP COLLATION sorted CASCADE; DROP TABLE names")
    dba.execute(f"CREATE COLLATION sorted (provider = {provider}, locale = '{locale}')")
    dba.execute("UPDATE pg_collation SET collversion = '0.1' WHERE collname = 'sorted'")

    assert [] == told(judged(collations="P1"))  # nothing is sorted by it

    dba.execute("CREATE TABLE names (name text COLLATE sorted)")
    (finding,) = judged(collations="P1").violations

    assert (Severity.P1, "collation sorted in database integration_db") == (finding.severity, finding.subject)
    type_in(PostgresSettings, finding, server, **settings(collations=True))
    assert [] == told(judged(collations="P1"))


def test_half_dropped_database_is_dropped_by_the_command(server, judged, dba):
    dba.execute("CREATE DATABASE half")
    dba.execute("UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'half'")
    (finding,) = judged(invalid_databases="P2").violations

    assert (Severity.P2, "database half") == (finding.severity, finding.subject)
    type_in(PostgresSettings, finding, server, **settings(invalid_databases=True))
    assert [] == told(judged(invalid_databases=True))


# -- releases --------------------------------------------------------------------------------------------------------


def test_maintained_new_version_passes_and_is_measured(server, judged):
    newest = int(server.version.partition(".")[2])
    known = {server.major: {"end_of_life": "2099-12-31", "newest_minor": newest}}
    findings = judged(end_of_life={"P3": "180d", "P1": "0d"}, minor_releases_behind={"P3": 1}, releases=known)
    left, behind, _ = findings.measurements

    assert [] == told(findings)
    assert ("time until end of life", "s") == (left.name, left.unit)
    assert ("minor releases behind", 0, 1) == (behind.name, behind.value, behind.limit)


def test_outdated_minor_release_is_violated(server, judged):
    newest = int(server.version.partition(".")[2]) + 9
    known = {server.major: {"newest_minor": newest}}
    (finding,) = judged(minor_releases_behind={"P3": 1, "P2": 2}, releases=known).violations

    assert (Severity.P2, f"PostgreSQL {server.version}") == (finding.severity, finding.subject)
    assert f"the newest known is {server.major}.{newest}" in finding.observed


def test_version_after_end_of_life_is_violated(server, judged):
    now = datetime(2031, 1, 1, tzinfo=UTC)
    (finding,) = judged(end_of_life={"P3": "180d", "P1": "0d"}, now=now).violations

    assert (Severity.P1, ">= 0s") == (finding.severity, finding.expected)
    assert finding.subject == f"PostgreSQL {server.version}"


# -- several groups --------------------------------------------------------------------------------------------------


def test_unknown_group_does_not_hide_others(server):
    kept: list[Findings] = []

    def keep(expectation, observe, findings):
        kept.append(findings)
        check(expectation, observe, findings)

    target = PostgresTarget(kind="postgres", dsn=server.dsn())
    fields = settings(settings={"no_such": 1, "fsync": "on"}, configuration_files=True, extensions={"postgis": "any"})
    missing(lambda: look(keep, PostgresSettings, target, **fields))

    assert ["setting fsync", "extension postgis in database integration_db"] == [
        finding.subject for finding in kept[0].violations
    ]
