"""`postgres.vacuum` on real servers: with dead rows, without, and with a holder of them."""

import signal
from collections.abc import Callable
from contextlib import closing
from typing import Any

import psycopg
import pytest

from checks.postgres.test_vacuum import test_vacuum_keeps_up as check
from opscheck import PostgresTarget, Severity
from opscheck.core.findings import Findings
from opscheck.core.observation import ProblemKind
from opscheck.demo.postgres import DATABASE, PostgreSQL
from opscheck.systems.postgres.vacuum import ANALYZE, ENABLE, VACUUM, ListTables, PostgresVacuum, Tables
from opscheck.transport.processes import wait_until
from tests.checks.postgres.worlds import eventually, snapshot
from tests.registries import BUNDLED
from tests.servers.clients import idle_in_transaction
from tests.servers.looking import look, missing
from tests.servers.replication import replication
from tests.servers.typed_commands import commands_of, type_in

AT_ONCE = {"counted_for": "0s"}
DEAD = {"dead_rows": {"P3": "200%", "P2": "500%"}, **AT_ONCE}
STALE = {"stale_statistics": {"P3": "200%", "P2": "1000%"}, **AT_ONCE}

Judged = Callable[..., Findings]

_COUNTED = "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = %s"


@pytest.fixture(name="judged")
def _judged(server: PostgreSQL) -> Judged:
    def judge_now(as_role: str = "opscheck", /, **fields: Any) -> Findings:
        return look(check, PostgresVacuum, PostgresTarget(kind="postgres", dsn=server.dsn(as_role)), **fields)

    return judge_now


@pytest.fixture(name="table")
def _table(do, schema) -> Callable[..., str]:
    """Makes `shop."Orders"` with 20,000 rows, analysed, without autovacuum; and then runs the given statements."""

    def make(*then: str, options: str = "autovacuum_enabled = false") -> str:
        do(
            f'CREATE TABLE shop."Orders" (id int, what text) WITH ({options})',
            "INSERT INTO shop.\"Orders\" SELECT n, 'some' FROM generate_series(1, 20000) AS n",
        )
        # In sessions of their own: a session adds its counters at its end, after vacuum.
        do('VACUUM ANALYZE shop."Orders"')
        for statement in then:
            do(statement)
        return f'shop."Orders" in database {DATABASE}'

    return make


@pytest.fixture(name="dead_rows")
def _dead_rows(server: PostgreSQL) -> Callable[..., None]:
    """Waits until the server has counted so many dead rows."""

    def wait(expected: int, table: str = "Orders") -> None:
        wait_until(lambda: counted(server, table) == expected, 20, "dead rows are not counted")

    return wait


def counted(server: PostgreSQL, table: str) -> int | None:
    """The dead rows in the statistics."""
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as connection:
        found = connection.execute(_COUNTED, (table,)).fetchone()
        return found[0] if found else None


@pytest.fixture(name="dead")
def _dead(table, dead_rows) -> str:
    """20,000 dead and 20,000 live rows; autovacuum would start at 4,050."""
    subject = table('UPDATE shop."Orders" SET what = what')
    dead_rows(20_000)
    return subject


# -- dead rows -------------------------------------------------------------------------------------------------------


def test_table_without_dead_rows_passes(judged, table):
    table()
    findings = judged(**DEAD)

    assert [] == findings.violations
    assert [("tables", 1.0, f"database {DATABASE}")] == [(m.name, m.value, m.subject) for m in findings.measurements]


def test_dead_rows_far_beyond_the_trigger_are_violated(judged, dead):
    (finding,) = judged(dead_rows={"P3": "200%", "P2": "400%"}, **AT_ONCE).violations

    assert (Severity.P2, dead) == (finding.severity, finding.subject)
    assert finding.observed == (
        "dead rows relative to trigger 493.8% (20000 dead, 20000 live; autovacuum starts at 4050 dead)"
    )
    assert "<= 400%" == finding.expected
    assert "autovacuum is disabled for it" in finding.evidence
    assert {
        "database": DATABASE,
        "schema": "shop",
        "table": "Orders",
    } == finding.facts
    assert finding.remediation.commands == commands_of(ENABLE, VACUUM)


def test_dead_rows_are_graded(judged, dead):
    (finding,) = judged(**DEAD).violations

    assert Severity.P3 == finding.severity


def test_table_is_judged_by_its_own_settings(judged, table, dead_rows):
    table(
        'UPDATE shop."Orders" SET what = what',
        options="autovacuum_enabled = false, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 15000",
    )
    dead_rows(20_000)
    findings = judged(**DEAD)

    assert [] == findings.violations
    assert 133.3 == pytest.approx(findings.measurements[-1].value, abs=0.1)


@pytest.mark.since_postgres(18)  # autovacuum_vacuum_max_threshold
def test_vacuum_max_threshold_counts_from_18_on(server, judged, table, dead_rows):
    table(
        'UPDATE shop."Orders" SET what = what',
        options="autovacuum_enabled = false, autovacuum_vacuum_max_threshold = 1000",
    )
    dead_rows(20_000)
    (finding,) = judged(**DEAD).violations

    assert "autovacuum starts at 1000 dead)" in finding.observed


def test_few_dead_rows_pass(judged, dead):
    assert [] == judged(min_rows=20_000, **DEAD).violations


def test_unremovable_rows_are_reported_with_their_holder(server, judged, table, dead_rows):
    with snapshot(server) as report:
        subject = table('UPDATE shop."Orders" SET what = what', 'VACUUM shop."Orders"')
        dead_rows(20_000)
        (finding,) = judged(**DEAD).violations

        assert subject == finding.subject
        assert str(report.pid) == finding.facts["pid"]
        evidence = finding.evidence[-1]
        assert f"vacuum cannot remove dead rows because of session {report.pid} of report as app" in evidence


def test_suggested_commands_vacuum_the_table(server, judged, dead, dead_rows):
    (finding,) = judged(**DEAD).violations

    type_in(PostgresVacuum, finding, server, **DEAD)

    wait_until(lambda: not judged(**DEAD).violations, 20, "it is not vacuumed")


# -- statistics ------------------------------------------------------------------------------------------------------


def test_never_analysed_table_violates_the_worst_limit(judged, do, schema):
    do("CREATE TABLE shop.loaded (id int) WITH (autovacuum_enabled = false)")
    do("INSERT INTO shop.loaded SELECT generate_series(1, 20000)")
    (finding,) = eventually(lambda: judged(**STALE).violations)

    assert (Severity.P2, f"shop.loaded in database {DATABASE}") == (finding.severity, finding.subject)
    assert "never analysed, with about 20000 rows" == finding.observed


def test_small_table_needs_no_statistics(judged, do, schema):
    do("CREATE TABLE shop.countries (id int) WITH (autovacuum_enabled = false)")
    do("INSERT INTO shop.countries SELECT generate_series(1, 200)")

    assert [] == judged(**STALE).violations


def test_stale_statistics_are_violated(judged, table, do):
    subject = table('UPDATE shop."Orders" SET what = what')
    # Before PostgreSQL 15 the statistics collector reports the changes and the time of the analysis one by one.
    (finding,) = eventually(lambda: [one for one in judged(**STALE).violations if one.since is not None])

    assert (Severity.P3, subject) == (finding.severity, finding.subject)
    assert finding.observed == (
        "changed rows relative to trigger 975.6% (20000 changed since the last analyze; autovacuum starts at 2050)"
    )
    assert finding.since is not None
    assert "Orders" == finding.facts["table"]
    assert finding.remediation.commands == commands_of(ENABLE, ANALYZE)


def test_suggested_commands_analyse_the_table(server, judged, table):
    table('UPDATE shop."Orders" SET what = what')
    (finding,) = eventually(lambda: judged(**STALE).violations)

    type_in(PostgresVacuum, finding, server, **STALE)

    wait_until(lambda: not judged(**STALE).violations, 20, "it is not analysed")


@pytest.mark.since_postgres(14)  # before, nothing shows whether it ever was
def test_unanalysed_parent_of_partitions_is_violated(server, judged, do, schema):
    do(
        "CREATE TABLE shop.events (id int) PARTITION BY RANGE (id)",
        "CREATE TABLE shop.events_1 PARTITION OF shop.events FOR VALUES FROM (0) TO (100000)",
        "INSERT INTO shop.events SELECT generate_series(1, 20000)",
    )
    do("ANALYZE shop.events_1")
    (finding,) = eventually(lambda: judged(**STALE).violations)

    assert f"shop.events in database {DATABASE}" == finding.subject
    assert ("parent of partitions: autovacuum analyses only the partitions",) == finding.evidence

    type_in(PostgresVacuum, finding, server, **STALE)

    wait_until(lambda: not judged(**STALE).violations, 20, "it is not analysed")


# -- the weekly VACUUM ANALYZE ---------------------------------------------------------------------------------------


def test_overdue_vacuum_is_violated(judged, dead):
    (finding,) = judged(vacuumed_within={"P3": "1ms"}, **AT_ONCE).violations

    assert (Severity.P3, dead) == (finding.severity, finding.subject)
    assert "20000 rows written since" in finding.observed
    assert "<= 1ms" == finding.expected
    assert finding.since is not None


def test_recently_vacuumed_table_passes_and_is_measured(judged, dead):
    findings = judged(vacuumed_within={"P3": "7d"}, analyzed_within={"P3": "7d"}, **AT_ONCE)

    assert [] == findings.violations
    assert ["tables", "last vacuumed", "last analysed"] == [one.name for one in findings.measurements]


def test_unchanged_table_needs_no_vacuum(judged, table):
    table()

    assert [] == judged(vacuumed_within={"P3": "1ms"}, analyzed_within={"P3": "1ms"}, **AT_ONCE).violations


def test_never_vacuumed_is_violated_with_old_counters(judged, do, schema, dead_rows):
    do("CREATE TABLE shop.loaded (id int) WITH (autovacuum_enabled = false)")
    do("INSERT INTO shop.loaded SELECT generate_series(1, 20000)", "DELETE FROM shop.loaded")
    limits = {"vacuumed_within": {"P3": "1ms", "P2": "7d"}, "analyzed_within": {"P3": "1ms"}}
    dead_rows(20_000, "loaded")
    found = judged(**limits, **AT_ONCE).violations

    assert [Severity.P3, Severity.P3] == [one.severity for one in found]
    assert ["never vacuumed", "never analysed"] == [" ".join(one.observed.split()[:2]) for one in found]


def test_never_vacuumed_is_unknown_with_young_counters(judged, do, schema, dead_rows):
    do("CREATE TABLE shop.loaded (id int) WITH (autovacuum_enabled = false)")
    do("INSERT INTO shop.loaded SELECT generate_series(1, 20000)", "DELETE FROM shop.loaded")
    dead_rows(20_000, "loaded")
    problem = missing(lambda: judged(vacuumed_within={"P3": "7d"}, **AT_ONCE))

    assert ProblemKind.FIRST_SAMPLE == problem.kind
    assert "shop.loaded was not vacuumed since then" in problem.text


# -- counters without proof ------------------------------------------------------------------------------------------


def test_young_counters_are_unknown_for_unanalysed_tables(judged, schema, do):
    do('CREATE TABLE shop."Orders" (id int) WITH (autovacuum_enabled = false)')
    problem = missing(lambda: judged(dead_rows={"P3": "200%"}))

    assert ProblemKind.FIRST_SAMPLE == problem.kind
    assert "low counts prove nothing yet" in problem.text


def test_dead_rows_are_unknown_after_a_reset(own_server):
    target = PostgresTarget(kind="postgres", dsn=own_server.dsn())
    with psycopg.connect(own_server.dsn("postgres"), autocommit=True) as connection:
        connection.execute("CREATE TABLE orders AS SELECT 1 AS id")
        connection.execute("SELECT pg_stat_reset()")
    problem = missing(lambda: look(check, PostgresVacuum, target, dead_rows={"P3": "200%"}, counted_for="10m"))

    assert "prove nothing yet" in problem.text


def test_analysed_tables_are_judged_after_a_reset(own_server):
    target = PostgresTarget(kind="postgres", dsn=own_server.dsn())
    with psycopg.connect(own_server.dsn("postgres"), autocommit=True) as connection:
        connection.execute("CREATE TABLE orders AS SELECT generate_series(1, 20000) AS id")
        connection.execute("SELECT pg_stat_reset()")
        connection.execute("ANALYZE orders")
    wait_until(lambda: _tables(own_server).unanalyzed == 0, 20, "it does not count")

    assert [] == look(check, PostgresVacuum, target, dead_rows={"P3": "200%"}, counted_for="10m").violations


def test_crash_restarts_the_counters(own_server):
    target = PostgresTarget(kind="postgres", dsn=own_server.dsn())
    with psycopg.connect(own_server.dsn("postgres"), autocommit=True) as connection:
        connection.execute("CREATE TABLE orders (id int) WITH (autovacuum_enabled = false)")
        connection.execute("INSERT INTO orders SELECT generate_series(1, 20000)")
        connection.execute("DELETE FROM orders")
    before = _tables(own_server).counted_since
    own_server.stop(signal.SIGQUIT)
    own_server.start()

    assert before < _tables(own_server).counted_since
    assert "prove nothing yet" in missing(lambda: look(check, PostgresVacuum, target, dead_rows={"P3": "200%"})).text


def test_lost_statistics_are_found_by_table_size(own_server):
    with psycopg.connect(own_server.dsn("postgres"), autocommit=True) as connection:
        connection.execute("CREATE TABLE orders (id int) WITH (autovacuum_enabled = false)")
        connection.execute("INSERT INTO orders SELECT generate_series(1, 50000)")
        connection.execute("CHECKPOINT")
    own_server.stop(signal.SIGQUIT)
    own_server.start()
    (finding,) = look(check, PostgresVacuum, PostgresTarget(kind="postgres", dsn=own_server.dsn()), **STALE).violations

    assert finding.observed.startswith("never analysed, with about ")


def test_exclusively_locked_table_is_not_waited_for(server, judged, table):
    subject = table('UPDATE shop."Orders" SET what = what')
    eventually(lambda: judged(**STALE).violations)
    with idle_in_transaction(server, 'LOCK TABLE shop."Orders"', "CREATE TABLE shop.fresh (id int)", role="postgres"):
        assert [subject] == [one.subject for one in judged(**STALE).violations]


def test_server_without_counters_is_unknown(own_server):
    with psycopg.connect(own_server.dsn("postgres"), autocommit=True) as connection:
        connection.execute("CREATE TABLE orders (id int)")
        connection.execute("ALTER SYSTEM SET track_counts = off")
        connection.execute("SELECT pg_reload_conf()")
    target = PostgresTarget(kind="postgres", dsn=own_server.dsn())
    wait_until(lambda: _problem(target).startswith("track_counts is off"), 20, "it counts")


def test_standby_is_unknown(installation):
    with replication(installation) as pair:
        with psycopg.connect(pair.primary.dsn("postgres"), autocommit=True) as connection:
            connection.execute("CREATE TABLE orders (id int)")
        pair.wait_until_replayed()
        target = PostgresTarget(kind="postgres", dsn=pair.standby.server.dsn())
        problem = missing(lambda: look(check, PostgresVacuum, target, **DEAD))

        assert "standby: it does not count dead and changed rows" == problem.text
        assert [] == look(check, PostgresVacuum, target, xid_age={"P1": "40%"}).violations


def test_database_without_tables_is_unknown(judged):
    problem = missing(lambda: judged(databases=["postgres"], **DEAD))

    assert "database postgres has no tables" == problem.text


def test_empty_database_next_to_another_passes(judged, table):
    table()

    assert [] == judged(databases=["*"], **DEAD).violations


def _problem(target: PostgresTarget) -> str:
    return missing(lambda: look(check, PostgresVacuum, target, dead_rows={"P3": "200%"})).text


def _tables(server: PostgreSQL) -> Tables:
    with closing(BUNDLED.probe("postgres").open_session(_target(server), 10)) as session:
        return session.ask(ListTables("target"), 10)


def _target(server: PostgreSQL) -> PostgresTarget:
    return PostgresTarget(kind="postgres", dsn=server.dsn()).named("target")
