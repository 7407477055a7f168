"""`postgres.size` on real servers: large and hidden databases, and sequences close to their end."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg
import pytest

from checks.postgres.test_size import test_databases_have_room_to_grow as check
from opscheck import PostgresTarget, Severity
from opscheck.core.findings import Findings
from opscheck.core.observation import ProblemKind, Sample
from opscheck.core.record import Finding
from opscheck.demo.postgres import DATABASE, PostgreSQL
from opscheck.systems.postgres.probe import open_session
from opscheck.systems.postgres.probe.size import read_sizes
from opscheck.systems.postgres.size import (
    REMOVE_LIMIT,
    SHOW_DATABASES,
    SHOW_RELATIONS,
    SHOW_SEQUENCE,
    WIDEN_COLUMN,
    WIDEN_SEQUENCE,
    LargestRelations,
    PostgresSize,
    ReadSizes,
)
from tests.servers.clients import superuser
from tests.servers.looking import look, missing
from tests.servers.typed_commands import commands_of, type_in

SEQUENCES = {"P2": "75%", "P1": "90%"}
FULL = 2_147_483_647

Judged = Callable[..., Findings]
Sql = Callable[..., None]


@pytest.fixture(name="world", scope="module")
def _world(cluster: PostgreSQL) -> Iterator[PostgreSQL]:
    """A database `shop`, and one without connections, `vault`."""
    with superuser(cluster) as connection:
        connection.execute("CREATE DATABASE shop OWNER app")
        connection.execute("CREATE DATABASE vault")
        connection.execute("REVOKE CONNECT ON DATABASE vault FROM PUBLIC")
        yield cluster
        connection.execute("DROP DATABASE shop")
        connection.execute("DROP DATABASE vault")


@pytest.fixture(name="shop")
def _shop(world: PostgreSQL, server: PostgreSQL) -> Iterator[Sql]:
    """Executes in `shop`, as its owner; at the end nothing is left there."""
    with psycopg.connect(world.dsn("app", "shop"), autocommit=True) as connection:

        def execute(*statements: str) -> None:
            for statement in statements:
                connection.execute(statement)

        execute("CREATE SCHEMA store", "GRANT USAGE ON SCHEMA store TO opscheck", "SET search_path = store")
        execute("ALTER DEFAULT PRIVILEGES GRANT SELECT ON SEQUENCES TO opscheck")
        yield execute
        execute("DROP SCHEMA store CASCADE", "DROP DOMAIN IF EXISTS public.small CASCADE")


@pytest.fixture(name="judged")
def _judged(world: PostgreSQL) -> Judged:
    def judge_now(role: str = "opscheck", /, database: str = "shop", **fields: Any) -> Findings:
        target = PostgresTarget(kind="postgres", dsn=world.dsn(role, database))
        return look(check, PostgresSize, target, **fields)

    return judge_now


def near_end(judged: Judged, **fields: Any) -> Finding:
    (finding,) = judged(sequences=SEQUENCES, **fields).violations
    return finding


def test_small_database_passes_and_is_measured(judged, shop):
    findings = judged(size={"P2": "1GB"})

    assert [] == findings.violations
    (measured,) = findings.measurements
    assert ("size", "database shop", "B", 1e9) == (measured.name, measured.subject, measured.unit, measured.limit)
    assert 5_000_000 < measured.value < 50_000_000


def test_too_large_database_lists_its_largest_tables(judged, shop):
    shop("CREATE TABLE orders AS SELECT repeat(md5(n::text), 20) AS note FROM generate_series(1, 20000) AS n")
    (finding,) = judged(size={"P2": "10MB", "P0": "1GB"}).violations

    assert (Severity.P2, "database shop", "<= 10MB") == (finding.severity, finding.subject, finding.expected)
    assert finding.observed.startswith("size 2")
    # Nothing was ever vacuumed or analysed there: relpages is 0.
    assert finding.evidence[0].startswith("store.orders 1")
    assert {"database": "shop", "largest": "store.orders"} == finding.facts
    assert finding.remediation.commands == commands_of(SHOW_RELATIONS)


def test_table_size_includes_toast_and_indexes(judged, shop):
    shop(
        "CREATE TABLE letters (id serial PRIMARY KEY, body text)",
        "ALTER TABLE letters ALTER body SET STORAGE EXTERNAL",
        "INSERT INTO letters (body) SELECT repeat('x', 100000) FROM generate_series(1, 100)",
        "VACUUM ANALYZE letters",
    )
    (finding,) = judged(size={"P2": "10MB"}).violations

    assert finding.evidence[0].startswith("store.letters 10.")


def test_pg_read_all_stats_reads_all_sizes(judged, shop):
    findings = judged(size={"P2": "1GB"}, databases=["shop", "vault"])

    assert ["database shop", "database vault"] == [one.subject for one in findings.measurements]


def test_hidden_database_is_unknown(judged, shop):
    problem = missing(lambda: judged("app", size={"P2": "1GB"}, databases=["*"]))

    assert ProblemKind.DENIED == problem.kind
    assert problem.text.startswith("role app may not read the size of database vault: it may not connect")
    assert 'GRANT pg_read_all_stats TO "app"' == problem.advice


def test_hidden_database_does_not_hide_others(world, shop):
    target = PostgresTarget(kind="postgres", dsn=world.dsn("app", "shop"))
    kept: list[Findings] = []

    def judge_and_keep(expectation, observe, findings):
        kept.append(findings)
        check(expectation, observe, findings)

    missing(lambda: look(judge_and_keep, PostgresSize, target, size={"P1": "1MB"}, databases=["vault", "shop"]))

    assert ["database shop"] == [one.subject for one in kept[0].violations]


def test_missing_database_is_unknown(judged):
    problem = missing(lambda: judged(size={"P2": "1GB"}, databases=["shoop"]))

    assert (ProblemKind.UNSUPPORTED, "database shoop does not exist") == (problem.kind, problem.text)


def test_pattern_without_match_is_unknown(judged):
    problem = missing(lambda: judged(size={"P2": "1GB"}, databases=["shoop*"]))

    assert problem.text.startswith("no database matches shoop*")
    assert "shop" in problem.advice


def test_all_databases_are_judged_by_total(judged, cluster):
    with psycopg.connect(cluster.dsn("postgres", "postgres")) as connection:
        ((there,),) = connection.execute("SELECT count(*) FROM pg_database").fetchall()

    (finding,) = judged(total={"P3": "1MB"}).violations

    assert "<= 1MB" == finding.expected
    assert there >= 6  # postgres, two templates, integration_db, shop, vault; other tests may have made more
    assert str(there) == finding.facts["database_count"]
    assert finding.remediation.commands == commands_of(SHOW_DATABASES)


def test_partly_hidden_total_is_unknown_within_the_limit(judged):
    assert ProblemKind.DENIED == missing(lambda: judged("app", total={"P3": "1TB"})).kind


def test_database_dropped_during_the_query_is_left_out(world, admin):
    admin.execute("CREATE DATABASE passing")
    # This transaction sees the databases that there were at its beginning.
    dsn = world.dsn() + "?options=-c%20default_transaction_isolation%3Drepeatable%5C%20read"
    session = open_session(PostgresTarget(kind="postgres", dsn=dsn), 10)
    connection = session._home.connection
    connection.execute("BEGIN READ ONLY")
    connection.execute("SELECT 1")
    admin.execute("DROP DATABASE passing")
    sizes = read_sizes(connection, ReadSizes("database", None))
    session.close()

    assert "shop" in [one.name for one in sizes.databases]
    assert "passing" not in [one.name for one in sizes.databases]


def grown(world: PostgreSQL, by: int, ago: timedelta, **fields: Any) -> Findings:
    """Judge `shop` as if it had been smaller by so many bytes."""
    target = PostgresTarget(kind="postgres", dsn=world.dsn(database="shop"))
    session = open_session(target, 10)
    now = session.ask(ReadSizes("target"), 10)
    relations = session.ask(LargestRelations("target"), 10)
    session.close()
    smaller = tuple(msgspec.structs.replace(one, bytes=one.bytes - by) for one in now.databases)
    earlier = msgspec.structs.replace(now, databases=smaller)
    taken = datetime.now(UTC)
    samples = {
        ReadSizes("target"): [Sample(taken_at=taken - ago, answer=earlier)],
        LargestRelations("target"): [Sample(taken_at=taken - ago, answer=relations)],
    }
    return look(check, PostgresSize, target, earlier=samples, now=taken, **fields)


def test_growth_compares_with_a_day_ago(world, shop):
    findings = grown(world, 3_000_000, timedelta(days=1), grown={"P2": "2MB"}, size={"P2": "1GB"})
    (finding,) = findings.violations

    assert (Severity.P2, "database shop", "<= 2MB") == (finding.severity, finding.subject, finding.expected)
    assert finding.observed.startswith("grown in 1d 3MB (")
    assert finding.observed.endswith(" 1d ago)")
    assert ", before " in finding.evidence[0]


def test_growth_is_scaled_to_the_period(world, shop):
    assert [] == grown(world, 3_000_000, timedelta(days=2), grown={"P2": "2MB"}).violations


def test_small_growth_in_bytes_passes(world, shop):
    assert [] == grown(world, 3_000_000, timedelta(days=1), growth={"P2": "1%"}).violations


def test_large_growth_above_the_minimum_is_violated(world, shop):
    (finding,) = grown(world, 3_000_000, timedelta(days=1), growth={"P2": "1%"}, growth_above="1MB").violations

    assert "<= 1%" == finding.expected


def test_shrunk_database_passes(world, shop):
    findings = grown(world, -3_000_000, timedelta(days=1), grown={"P2": "2MB"})

    assert [] == findings.violations
    assert -3_000_000 in [one.value for one in findings.measurements]


def test_growth_without_earlier_sample_is_unknown(judged, shop):
    problem = missing(lambda: judged(grown={"P2": "2MB"}))

    assert ProblemKind.FIRST_SAMPLE == problem.kind
    assert problem.text.startswith("first sample: ")


def test_recreated_database_has_no_earlier_sample(world, shop):
    target = PostgresTarget(kind="postgres", dsn=world.dsn(database="shop"))
    session = open_session(target, 10)
    now = session.ask(ReadSizes("target"), 10)
    session.close()
    before = msgspec.structs.replace(
        now, databases=tuple(msgspec.structs.replace(one, oid=1, bytes=1) for one in now.databases)
    )
    samples = {ReadSizes("target"): [Sample(taken_at=datetime.now(UTC) - timedelta(days=1), answer=before)]}
    problem = missing(lambda: look(check, PostgresSize, target, earlier=samples, grown={"P2": "2MB"}))

    assert ProblemKind.FIRST_SAMPLE == problem.kind
    assert "the size of shop 1d ago is unknown" in problem.text


@pytest.mark.parametrize(
    ("statements", "detail", "facts", "remedies"),
    [
        pytest.param(
            ("CREATE TABLE orders (id serial)", f"SELECT setval('orders_id_seq', {FULL * 8 // 10})"),
            "1717986917 of 2147483647, the limit of its type integer; 429496730 values left",
            {"sequence": "orders_id_seq", "table": "orders", "column": "id"},
            (WIDEN_COLUMN, WIDEN_SEQUENCE),
            id="serial",
        ),
        pytest.param(
            (
                "CREATE TABLE orders (id int GENERATED ALWAYS AS IDENTITY)",
                f"SELECT setval('orders_id_seq', {FULL * 8 // 10})",
            ),
            "1717986917 of 2147483647, the limit of its type integer; 429496730 values left",
            {"sequence": "orders_id_seq", "table": "orders", "column": "id"},
            (WIDEN_COLUMN, WIDEN_SEQUENCE),
            id="identity",
        ),
        pytest.param(
            (
                "CREATE SEQUENCE numbers",
                "CREATE TABLE orders (id int DEFAULT nextval('numbers'))",
                "ALTER SEQUENCE numbers OWNED BY orders.id",
                f"SELECT setval('numbers', {FULL * 8 // 10})",
            ),
            "1717986917 of 2147483647, the limit of store.orders.id (integer); 429496730 values left",
            {"sequence": "numbers", "table": "orders", "column": "id"},
            (WIDEN_COLUMN,),
            id="a bigint sequence of an integer column",
        ),
        pytest.param(
            (
                "CREATE SEQUENCE numbers",
                "CREATE TABLE invoices (id bigint DEFAULT nextval('numbers'))",
                "CREATE TABLE orders (id smallint DEFAULT nextval('numbers'))",
                "SELECT setval('numbers', 26215)",
            ),
            "26215 of 32767, the limit of store.orders.id (smallint); 6552 values left",
            {"sequence": "numbers", "table": "orders", "column": "id"},
            (WIDEN_COLUMN,),
            id="a default of several columns that own nothing",
        ),
        pytest.param(
            (
                "CREATE DOMAIN public.small AS int CHECK (value > 0)",
                "CREATE SEQUENCE numbers",
                "CREATE TABLE orders (id public.small DEFAULT nextval('numbers'))",
                f"SELECT setval('numbers', {FULL * 8 // 10})",
            ),
            "1717986917 of 2147483647, the limit of store.orders.id (small); 429496730 values left",
            {"sequence": "numbers"},
            (),
            id="a domain over integer",
        ),
        pytest.param(
            ("CREATE SEQUENCE numbers MAXVALUE 1000", "SELECT setval('numbers', 800)"),
            "800 of 1000, its maxvalue; 200 values left",
            {"sequence": "numbers"},
            (REMOVE_LIMIT,),
            id="a maximum of its own",
        ),
        pytest.param(
            (
                "CREATE SEQUENCE numbers INCREMENT -1 MINVALUE -1000 MAXVALUE -1",
                "SELECT setval('numbers', -800)",
            ),
            "-800 of -1000, its minvalue; 200 values left",
            {"sequence": "numbers"},
            (REMOVE_LIMIT,),
            id="counting down",
        ),
        pytest.param(
            (
                "CREATE TABLE orders (id smallint)",
                "CREATE SEQUENCE numbers INCREMENT -1 OWNED BY orders.id",
                "SELECT setval('numbers', -26215)",
            ),
            "-26215 of -32768, the limit of store.orders.id (smallint); 6553 values left",
            {"sequence": "numbers", "table": "orders", "column": "id"},
            (WIDEN_COLUMN,),
            id="counting down into a small column",
        ),
    ],
)
def test_sequence_close_to_its_end_is_violated(judged, shop, statements, detail, facts, remedies):  # noqa: PLR0913, PLR0917 -- a case
    shop(*statements)
    finding = near_end(judged)

    assert (Severity.P2, f"store.{facts['sequence']} in database shop") == (finding.severity, finding.subject)
    assert "<= 75%" == finding.expected
    assert f"sequence used 80% ({detail})" == finding.observed
    known = {"database": "shop", "schema": "store", "limit": detail.split()[2].rstrip(",")}
    table = {"table_schema": "store"} if "table" in facts else {}
    assert known | table | facts == {name: value for name, value in finding.facts.items() if name != "type"}
    assert finding.remediation.commands == commands_of(SHOW_SEQUENCE, *remedies)


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param(("CREATE SEQUENCE numbers MAXVALUE 10 CYCLE", "SELECT setval('numbers', 10)"), id="it cycles"),
        pytest.param(("CREATE SEQUENCE numbers MAXVALUE 10",), id="it was never used"),
        pytest.param(("CREATE TABLE orders (id serial)", "SELECT nextval('orders_id_seq')"), id="it was used once"),
        pytest.param(
            ("CREATE TEMP SEQUENCE numbers MAXVALUE 10", "SELECT setval('numbers', 10)"), id="it is another session's"
        ),
        pytest.param(
            ("CREATE SEQUENCE numbers MINVALUE 1000000 MAXVALUE 2000000", "SELECT setval('numbers', 1100000)"),
            id="it has just begun far from 0",
        ),
    ],
)
def test_sequence_with_values_left_passes(judged, shop, statements):
    shop(*statements)

    assert [] == judged(sequences=SEQUENCES).violations


def test_sequence_with_less_than_one_step_left_is_used_up(judged, shop):
    shop("CREATE SEQUENCE numbers INCREMENT 100 MAXVALUE 250", "SELECT setval('numbers', 200)")
    finding = near_end(judged)

    assert (Severity.P1, "sequence used 100% (200 of 250, its maxvalue; 0 values left)") == (
        finding.severity,
        finding.observed,
    )


def test_sequence_beyond_its_column_is_used_up(judged, shop):
    shop(
        "CREATE TABLE orders (id int)",
        "CREATE SEQUENCE numbers OWNED BY orders.id",
        f"SELECT setval('numbers', {FULL + 10})",
    )

    assert "sequence used 100%" in near_end(judged).observed


def test_most_used_sequence_is_measured(judged, shop):
    shop(
        "CREATE SEQUENCE one MAXVALUE 100",
        "CREATE SEQUENCE two MAXVALUE 100",
        "SELECT setval('one', 10)",
        "SELECT setval('two', 50)",
    )
    counted, measured = judged(sequences=SEQUENCES).measurements

    assert ("sequences", 2) == (counted.name, counted.value)
    assert ("store.two in database shop", 50, 25) == (measured.subject, measured.value, measured.margin)


def test_unreadable_sequence_is_unknown_with_grant(judged, shop):
    shop("CREATE SEQUENCE numbers", 'CREATE SEQUENCE "Odd one"', 'REVOKE ALL ON numbers, "Odd one" FROM opscheck')
    problem = missing(lambda: judged(sequences=SEQUENCES))

    assert ProblemKind.DENIED == problem.kind
    assert (
        'role opscheck may not read 2 of 2 sequences in database shop: store."Odd one", store.numbers' == problem.text
    )
    assert 'in database shop: GRANT SELECT ON SEQUENCE store."Odd one", store.numbers TO "opscheck"' == problem.advice


def test_many_unreadable_sequences_have_a_schema_grant(judged, shop):
    shop(*(f"CREATE SEQUENCE numbers_{number:02}" for number in range(12)))
    shop("REVOKE ALL ON ALL SEQUENCES IN SCHEMA store FROM opscheck")
    problem = missing(lambda: judged(sequences=SEQUENCES))

    assert problem.text.endswith("store.numbers_04 and 7 more")
    assert 'GRANT SELECT ON ALL SEQUENCES IN SCHEMA store TO "opscheck"' in problem.advice


def test_many_sequences_are_read_in_batches(judged, shop, admin):
    shop(
        "DO $$ BEGIN FOR number IN 1..450 LOOP EXECUTE format('CREATE SEQUENCE store.n_%s MAXVALUE 100', number);"
        " END LOOP; END $$",
        "SELECT setval('store.n_450', 99)",
    )
    findings = judged(sequences=SEQUENCES)

    assert 450 == findings.measurements[0].value
    assert ["store.n_450 in database shop"] == [one.subject for one in findings.violations]


def test_hidden_database_does_not_hide_other_sequences(judged, shop, world):
    shop("CREATE SEQUENCE numbers MAXVALUE 100", "SELECT setval('numbers', 80)")
    target = PostgresTarget(kind="postgres", dsn=world.dsn(database=DATABASE))
    kept: list[Findings] = []

    def judge_and_keep(expectation, observe, findings):
        kept.append(findings)
        check(expectation, observe, findings)

    fields = {"sequences": SEQUENCES, "databases": ["vault", "shop"]}
    problem = missing(lambda: look(judge_and_keep, PostgresSize, target, **fields))

    assert 'GRANT CONNECT ON DATABASE "vault" TO "opscheck"' == problem.advice
    assert ["store.numbers in database shop"] == [one.subject for one in kept[0].violations]


def test_suggested_commands_fix_the_sequence(world, judged, shop):
    shop(
        'CREATE TABLE "Odd orders" ("Id" serial)',
        f"SELECT setval('\"Odd orders_Id_seq\"', {FULL * 8 // 10})",
        "CREATE SEQUENCE capped MAXVALUE 10",
        "SELECT setval('capped', 9)",
    )
    # The DSN names another database.
    target = PostgresTarget(kind="postgres", dsn=world.dsn("postgres", DATABASE))
    fields = {"sequences": SEQUENCES, "size": {"P3": "1MB"}, "total": {"P3": "1MB"}, "databases": ["shop"]}
    findings = look(check, PostgresSize, target, **fields).violations
    printed = [one for finding in findings for one in type_in(PostgresSize, finding, world, **fields)]

    assert 7 == len(printed)  # total: 1, size: 1, capped: show and lift, serial: show, widen both
    assert any("Odd orders_Id_seq" in one for one in printed)
    assert [] == look(check, PostgresSize, target, sequences=SEQUENCES, databases=["shop"]).violations
