"""`postgres.indexes` on real servers: invalid, duplicate, unused and good indexes."""

import signal
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from checks.postgres.test_indexes import DROP, DROP_CONSTRAINT, DROP_PARTITIONED, REBUILD
from checks.postgres.test_indexes import test_indexes_are_valid_and_used as check
from opscheck import PostgresTarget, Severity
from opscheck.core.findings import Findings
from opscheck.core.observation import ProblemKind
from opscheck.demo.postgres import DATABASE, PostgreSQL
from opscheck.systems.postgres.indexes import ListUnusedIndexes, PostgresIndexes
from opscheck.testing import Answers, expect
from opscheck.transport.processes import wait_until
from tests.checks.postgres.worlds import execute
from tests.registries import BUNDLED
from tests.servers.clients import client, idle_in_transaction
from tests.servers.looking import answers_of, look, missing
from tests.servers.replication import replication
from tests.servers.typed_commands import commands_of, type_in

INVALID = {"invalid": {"P2": 0}}
DUPLICATES = {"duplicates": {"P3": "0B", "P2": "1GB"}}
UNUSED = {"unused": {"P3": "0B"}, "unused_for": "1ms"}

Judged = Callable[..., Findings]


def indexes_of(server: PostgreSQL, role: str = "opscheck", /, **fields: Any) -> Findings:
    return look(check, PostgresIndexes, PostgresTarget(kind="postgres", dsn=server.dsn(role)), **fields)


@pytest.fixture(name="judged")
def _judged(server: PostgreSQL) -> Judged:
    return lambda role="opscheck", /, **fields: indexes_of(server, role, **fields)


@pytest.fixture(name="orders", autouse=True)
def _orders(request, do, schema) -> None:
    """A table with a primary key, and two rows that have the same number."""
    do(
        "CREATE TABLE shop.orders (id int PRIMARY KEY, number int, what text, day date DEFAULT '2026-01-01')",
        "INSERT INTO shop.orders SELECT n, n % 1999 FROM generate_series(1, 2000) AS n",
    )


@pytest.fixture(name="failed")
def _failed(do) -> str:
    """A unique index that could not be built."""
    with pytest.raises(psycopg.errors.UniqueViolation):
        do('CREATE UNIQUE INDEX CONCURRENTLY "Number" ON shop.orders (number)')
    return f'shop."Number" in database {DATABASE}'


def use(server: PostgreSQL) -> None:
    """Make a query use the index on `number`."""
    execute(
        server,
        "SET enable_seqscan = off",
        "SET enable_bitmapscan = off",
        "SELECT what FROM shop.orders WHERE number = 5",
    )


def subjects(findings: Findings) -> list[str]:
    return [one.subject.removesuffix(f" in database {DATABASE}") for one in findings.violations]


# -- invalid ---------------------------------------------------------------------------------------------------------


def test_valid_indexes_pass_and_are_counted(judged):
    findings = judged(**INVALID)

    assert [] == findings.violations
    assert [("invalid indexes", 0.0)] == [(one.name, one.value) for one in findings.measurements]


def test_failed_index_build_is_violated(judged, failed):
    (finding,) = judged(**INVALID).violations

    assert (Severity.P2, failed) == (finding.severity, finding.subject)
    assert finding.observed.startswith("invalid, and not being built (")
    assert "<= 0 invalid indexes (found 1)" == finding.expected
    assert {"database": DATABASE, "schema": "shop", "index": "Number"} == finding.facts
    assert finding.remediation.commands == commands_of(REBUILD)


def test_suggested_command_rebuilds_the_index(server, judged, failed, do):
    do("UPDATE shop.orders SET number = id")
    (finding,) = judged(**INVALID).violations

    type_in(PostgresIndexes, finding, server, **INVALID)

    assert [] == judged(**INVALID).violations


def test_leftover_of_reindex_is_dropped(server, judged, failed, do):
    with pytest.raises(psycopg.errors.UniqueViolation):
        do('REINDEX INDEX CONCURRENTLY shop."Number"')
    found = judged(**INVALID).violations

    assert ['shop."Number"', 'shop."Number_ccnew"'] == sorted(one.subject.split(" ")[0] for one in found)
    (leftover,) = [one for one in found if "ccnew" in one.subject]
    assert ("leftover of a failed REINDEX CONCURRENTLY",) == leftover.evidence
    assert "Number_ccnew" == leftover.facts["index"]
    assert leftover.remediation.commands == commands_of(DROP)
    type_in(PostgresIndexes, leftover, server, **INVALID)
    assert ['shop."Number"'] == subjects(judged(**INVALID))


def test_index_under_construction_passes(server, judged, do, admin):
    with (
        idle_in_transaction(server, "LOCK TABLE shop.orders IN ROW EXCLUSIVE MODE", role="postgres"),
        client(server, "postgres") as builder,
    ):
        builder.begin_to("CREATE INDEX CONCURRENTLY slow ON shop.orders (number)")
        wait_until(lambda: _invalid(server) == 1, 20, "it is not begun")

        assert [] == judged(**INVALID).violations
    assert ["shop.slow"] == subjects(judged(**INVALID))  # for both were ended


def test_index_under_reconstruction_passes(server, judged, do):
    do("CREATE INDEX by_number ON shop.orders (number)")
    with (
        idle_in_transaction(server, "LOCK TABLE shop.orders IN ROW EXCLUSIVE MODE", role="postgres"),
        client(server, "postgres") as builder,
    ):
        builder.begin_to("REINDEX TABLE CONCURRENTLY shop.orders")
        wait_until(lambda: _invalid(server) > 0, 20, "it is not begun")

        assert [] == judged(**INVALID).violations


def test_index_being_dropped_passes(server, judged, do):
    do("CREATE INDEX by_number ON shop.orders (number)")
    with (
        idle_in_transaction(server, "LOCK TABLE shop.orders IN ROW EXCLUSIVE MODE", role="postgres"),
        client(server, "postgres") as dropper,
    ):
        dropper.begin_to("DROP INDEX CONCURRENTLY shop.by_number")
        wait_until(lambda: _invalid(server) == 1, 20, "it is not begun")

        assert [] == judged(**INVALID).violations


def test_incomplete_partitioned_index_passes(server, judged, do):
    do(
        "CREATE TABLE shop.events (id int) PARTITION BY RANGE (id)",
        "CREATE TABLE shop.events_1 PARTITION OF shop.events FOR VALUES FROM (0) TO (10)",
        "CREATE INDEX by_id ON ONLY shop.events (id)",
    )

    assert 1 == _invalid(server)
    assert [] == judged(**INVALID).violations


def test_missing_right_to_see_builds_is_unknown(judged, failed):
    problem = missing(lambda: judged("app", **INVALID))

    assert (ProblemKind.DENIED, 'GRANT pg_read_all_stats TO "app"') == (problem.kind, problem.advice)


def test_duplicates_are_judged_without_extra_rights(judged, do, failed):
    do("CREATE INDEX one ON shop.orders (number)", "CREATE INDEX two ON shop.orders (number)")

    assert ["shop.two"] == subjects(judged("app", **DUPLICATES))


# -- duplicates ------------------------------------------------------------------------------------------------------


def test_duplicate_index_is_violated(judged, do):
    do("CREATE INDEX one ON shop.orders (number)", "CREATE INDEX two ON shop.orders (number)")
    (finding,) = judged(**DUPLICATES).violations

    assert (Severity.P3, f"shop.two in database {DATABASE}") == (finding.severity, finding.subject)
    assert finding.observed.startswith("duplicate index ")
    assert finding.observed.endswith("B (same as shop.one of table shop.orders)")
    assert "<= 0B" == finding.expected


def test_suggested_command_drops_the_duplicate(server, judged, do):
    do("CREATE INDEX one ON shop.orders (number)", "CREATE INDEX two ON shop.orders (number)")
    (finding,) = judged(**DUPLICATES).violations

    type_in(PostgresIndexes, finding, server, **DUPLICATES)

    assert [] == judged(**DUPLICATES).violations


def test_plain_index_next_to_a_unique_one_is_redundant(judged, do):
    do("CREATE INDEX by_id ON shop.orders (id)")

    assert ["shop.by_id"] == subjects(judged(**DUPLICATES))


def test_duplicate_constraint_is_reported_and_dropped(server, judged, do):
    do('ALTER TABLE shop.orders ADD CONSTRAINT "Again" UNIQUE (id)')
    (finding,) = judged(**DUPLICATES).violations

    assert ("constraint Again uses it",) == finding.evidence
    assert {
        "database": DATABASE,
        "table_schema": "shop",
        "table": "orders",
        "constraint": "Again",
    } == finding.facts
    assert finding.remediation.commands == commands_of(DROP_CONSTRAINT)
    type_in(PostgresIndexes, finding, server, **DUPLICATES)
    assert [] == judged(**DUPLICATES).violations


@pytest.mark.parametrize(
    "other",
    [
        "INDEX two ON shop.orders (what, number)",
        "INDEX two ON shop.orders (number DESC, what)",
        "INDEX two ON shop.orders (number, what text_pattern_ops)",
        'INDEX two ON shop.orders (number, what COLLATE "POSIX")',
        "INDEX two ON shop.orders (number, what) WHERE number > 5",
        "INDEX two ON shop.orders (number) INCLUDE (what)",
        "INDEX two ON shop.orders (number, lower(what))",
        "INDEX two ON shop.orders USING brin (number, what)",
    ],
)
def test_different_indexes_are_not_duplicates(judged, do, other):
    do("CREATE INDEX one ON shop.orders (number, what)", f"CREATE {other}")

    assert [] == judged(**DUPLICATES).violations


def test_equal_expressions_and_predicates_are_duplicates(judged, do):
    for name in ("one", "two"):
        do(f"CREATE INDEX {name} ON shop.orders ( lower(what) )  WHERE  number > 5")
    do("CREATE INDEX three ON shop.orders (lower(what)) WHERE number > 6")

    assert ["shop.two"] == subjects(judged(**DUPLICATES))


def test_deferrable_constraint_is_not_a_duplicate(judged, do):
    do("ALTER TABLE shop.orders ADD CONSTRAINT later UNIQUE (id) DEFERRABLE")

    assert [] == judged(**DUPLICATES).violations


def test_duplicates_on_partitioned_table_are_reported_once(server, judged, do):
    do(
        "CREATE TABLE shop.events (id int) PARTITION BY RANGE (id)",
        "CREATE TABLE shop.events_1 PARTITION OF shop.events FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE shop.events_2 PARTITION OF shop.events FOR VALUES FROM (10) TO (20)",
        "CREATE INDEX one ON shop.events (id)",
        "CREATE INDEX two ON shop.events (id)",
    )
    (finding,) = judged(**DUPLICATES).violations

    assert "two" == finding.facts["index"]
    assert finding.remediation.commands == commands_of(DROP_PARTITIONED)
    type_in(PostgresIndexes, finding, server, **DUPLICATES)
    assert [] == judged(**DUPLICATES).violations


def test_exclusively_locked_table_is_not_waited_for(server, judged, do):
    do("CREATE INDEX one ON shop.orders (number)", "CREATE INDEX two ON shop.orders (number)")
    with idle_in_transaction(server, "TRUNCATE shop.orders", role="postgres"):
        assert ["shop.two"] == subjects(judged(**DUPLICATES))
        assert ["shop.one", "shop.two"] == sorted(subjects(judged(**UNUSED)))


# -- unused ----------------------------------------------------------------------------------------------------------


def test_unused_index_is_violated(server, judged, do):
    do("CREATE INDEX by_number ON shop.orders (number)")
    (finding,) = judged(**UNUSED).violations

    assert (Severity.P3, f"shop.by_number in database {DATABASE}") == (finding.severity, finding.subject)
    assert finding.observed.startswith("unused index ")
    assert "table shop.orders, not used since the counters began" in finding.observed
    assert () == finding.evidence
    type_in(PostgresIndexes, finding, server, **UNUSED)
    assert [] == judged(**UNUSED).violations


def test_used_index_passes(server, judged, do):
    do("CREATE INDEX by_number ON shop.orders (number)")
    use(server)

    wait_until(lambda: not judged(unused={"P3": "0B"}, unused_for="1s").violations, 20, "its use is not counted")


@pytest.mark.since_postgres(16)  # last_idx_scan
def test_index_used_long_ago_is_unused_from_16_on(server, judged, do):
    do("CREATE INDEX by_number ON shop.orders (number)")
    use(server)
    (finding,) = judged(**UNUSED).violations

    assert "last used 20" in finding.observed


def test_required_index_without_scans_passes(judged, do):
    do(
        "CREATE TABLE shop.lines (order_id int REFERENCES shop.orders, n int, more int NOT NULL)",
        "CREATE INDEX for_the_foreign_key ON shop.lines (order_id, n)",
        "CREATE UNIQUE INDEX identity ON shop.lines (more)",
        "ALTER TABLE shop.lines REPLICA IDENTITY USING INDEX identity",
        "ALTER TABLE shop.lines ADD EXCLUDE USING btree (n WITH =)",
    )

    assert [] == judged(**UNUSED).violations


def test_small_unused_index_passes(judged, do):
    do("CREATE INDEX by_number ON shop.orders (number)")

    assert [] == judged(unused={"P3": "100MB"}, unused_for="1ms").violations


def test_indexes_of_partitions_count_as_one(judged, do):
    do(
        "CREATE TABLE shop.events (id int) PARTITION BY RANGE (id)",
        "CREATE TABLE shop.events_1 PARTITION OF shop.events FOR VALUES FROM (0) TO (10)",
        "CREATE INDEX by_id ON shop.events (id)",
    )
    (finding,) = judged(**UNUSED).violations

    assert "by_id" == finding.facts["index"]
    assert finding.remediation.commands == commands_of(DROP_PARTITIONED)


def test_young_counters_are_unknown_with_their_age(judged, do):
    do("CREATE INDEX by_number ON shop.orders (number)")
    problem = missing(lambda: judged(unused={"P3": "0B"}))

    assert ProblemKind.FIRST_SAMPLE == problem.kind
    assert "; 30d are needed" in problem.text
    assert "ago, at 20" in problem.text


def test_other_kinds_are_judged_with_young_counters(server, failed):
    expectation = expect(
        PostgresIndexes, PostgresTarget(kind="postgres", dsn=server.dsn()), **INVALID, unused={"P3": "0B"}
    )
    findings = Findings(expectation)
    with closing(BUNDLED.probe("postgres").open_session(expectation.target, 10)) as session:
        missing(lambda: check(expectation, Answers(answers_of(session), datetime.now(UTC)), findings))

    assert [failed] == [one.subject for one in findings.violations]


def test_crash_restarts_the_counters(own_server):
    execute(own_server, "CREATE TABLE orders (id int)", "CREATE INDEX by_id ON orders (id)")
    before = _counted_since(own_server)
    own_server.stop(signal.SIGQUIT)
    own_server.start()

    assert before < _counted_since(own_server)


def test_replicas_with_own_counters_are_evidence(installation):
    with replication(installation) as pair:
        execute(pair.primary, "CREATE TABLE orders (id int)", "CREATE INDEX by_id ON orders (id)")
        pair.wait_until_replayed()
        (here,) = indexes_of(pair.primary, **UNUSED).violations
        (there,) = indexes_of(pair.standby.server, **UNUSED).violations

    assert ("counters are not replicated: check 1 replica too",) == here.evidence
    assert ("standby: its primary and other replicas have their own counters",) == there.evidence


# -- where there is none ---------------------------------------------------------------------------------------------


def test_database_without_indexes_is_unknown(judged):
    problem = missing(lambda: judged(databases=["postgres"], **INVALID))

    assert "database postgres has no indexes" == problem.text


def test_other_databases_are_read(server, judged, failed):
    (finding,) = judged(databases=["*"], **INVALID).violations

    assert failed == finding.subject


def _invalid(server: PostgreSQL) -> int:
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as connection:
        found = connection.execute("SELECT count(*) FROM pg_index WHERE NOT indisvalid").fetchone()
        return found[0] if found else 0


def _counted_since(server: PostgreSQL) -> datetime:
    with closing(
        BUNDLED.probe("postgres").open_session(PostgresTarget(kind="postgres", dsn=server.dsn()), 10)
    ) as session:
        return session.ask(ListUnusedIndexes("target"), 10).counted_since
