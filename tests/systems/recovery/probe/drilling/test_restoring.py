"""Backups that are restored for real, into a server of the drill's own and into a scratch server."""

import bz2
import gzip
import lzma
from datetime import UTC, datetime, timedelta

import pytest

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.postgres.programs import VARIABLE, installations
from opscheck.systems.recovery.drill_record import (
    ABSENT,
    ASSERT,
    BROKEN,
    CLEAN,
    EMPTY,
    FETCH,
    FIND,
    LATE,
    NEWER,
    REFUSED,
    RESTORE,
    START,
    Assertion,
)
from tests.servers.drills import HANGS, ROWS, SECRET, plain

ALL = [FIND, FETCH, START, RESTORE, ASSERT, CLEAN]
TODAY = datetime.now(UTC)


@pytest.mark.parametrize("key", ["16.sql", "16.dump", "16.tar", "16.dir/", "16-create.sql"])
def test_every_format_is_restored_and_asked(restore, key):
    drill = restore(key)

    assert ((), True) == (drill.reasons, drill.passed)
    assert [ROWS] == [one.number for one in drill.assertions]
    assert ALL == [phase.name for phase in drill.phases]
    assert "16" == drill.dumped_from.partition(".")[0]


@pytest.mark.parametrize("key", ["16.sql", "18.dump"])
def test_a_server_of_the_drills_own_is_started_for_it(restore, key):
    drill = restore(key, dsn=None)

    assert ((), "18") == (drill.reasons, drill.server.partition(".")[0])
    assert [ROWS] == [one.number for one in drill.assertions]


@pytest.mark.parametrize(("pack", "name"), [(gzip.compress, "gzip"), (bz2.compress, "bzip2"), (lzma.compress, "xz")])
def test_compressed_backup_is_unpacked(restore, shelf, pack, name):
    for key, made_of in (("16.sql", "plain"), ("16.dump", "custom")):
        drill = restore(shelf.put(f"packed.{key}", pack(shelf.read(key))))

        assert ((), f"{made_of}, {name}") == (drill.reasons, drill.made_of)


def test_roles_that_are_not_there_fail_nothing_and_are_reported(restore):
    assert {"role app", "role opscheck"} >= set(restore("16.sql", dsn=None).missing)
    assert restore("16.dump", dsn=None).missing == ("role opscheck",)


def test_no_row_of_the_backup_is_in_the_answer(restore):
    drill = restore("16.dump", newest="SELECT max(at) FROM orders")

    assert SECRET not in str(drill)


@pytest.mark.parametrize("key", ["16.sql", "16.dump", "16.tar"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_dump_that_is_cut_off_is_violated_with_the_reason(restore, shelf, key, share):
    content = shelf.read(key)
    drill = restore(shelf.put(f"cut.{key}", content[: int(len(content) * share)]))

    assert (RESTORE, BROKEN, False) == (drill.failure.phase, drill.failure.trouble, drill.passed)


def test_plain_dump_that_ends_between_two_statements_is_cut_off_all_the_same(restore, shelf):
    whole = shelf.read("16.sql")
    drill = restore(shelf.put("half.sql", whole[: whole.index(b"\n--\n-- PostgreSQL database dump complete")]))

    assert BROKEN == drill.failure.trouble
    assert "dump complete" in drill.failure.text


def test_a_packed_dump_that_is_cut_off_is_reported(restore, shelf):
    packed = gzip.compress(shelf.read("16.sql"))
    drill = restore(shelf.put("cut.sql.gz", packed[:-20]))

    assert (BROKEN, True) == (drill.failure.trouble, "gzip" in drill.failure.text)


@pytest.mark.parametrize("content", [gzip.compress(b"", mtime=0), b""], ids=["packed nothing", "nothing"])
def test_an_empty_backup_is_reported_without_starting_anything(restore, shelf, content):
    drill = restore(shelf.put("nothing", content))

    assert (EMPTY, FETCH) == (drill.failure.trouble, drill.failure.phase)
    assert [FIND, FETCH, CLEAN] == [phase.name for phase in drill.phases]


@pytest.mark.parametrize("key", ["18.dump", "18.sql", "18.tar", "18.dir/"])
def test_a_dump_of_a_newer_server_is_violated_with_both_versions(restore, key):
    drill = restore(key)

    assert (NEWER, RESTORE) == (drill.failure.trouble, drill.failure.phase)
    assert "PostgreSQL 18" in drill.failure.text
    assert "16." in drill.failure.text


def test_a_server_of_the_drills_own_that_is_older_is_reported_as_well(restore, monkeypatch):
    (old,) = (one for one in installations("postgres") if one.major == 16)
    monkeypatch.setenv(VARIABLE, str(old.folder))
    drill = restore("18.dump", dsn=None)

    assert NEWER == drill.failure.trouble
    assert "newer pg_dump" in drill.failure.text or "PostgreSQL 18" in drill.failure.text


def test_where_there_are_not_programs_that_is_unknown_with_what_to_install(restore, monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(ProbeError) as told:
        restore("16.dump", dsn=None)

    assert (ProblemKind.UNSUPPORTED, True) == (told.value.problem.kind, "opscheck[drill]" in told.value.problem.advice)


def test_bytes_that_are_of_no_encoding_are_restored_where_the_database_had_none(restore, shelf):
    settings, table = b"SET client_encoding = 'SQL_ASCII';", b"CREATE TABLE orders (note text);"
    rows = b"\n".join([settings, table, b"COPY orders FROM stdin;", b"\xff\xfe", b"\\."])
    drill = restore(shelf.put("ascii.sql", plain("-- rows").encode().replace(b"-- rows", rows)))

    assert ((), 1.0) == (drill.reasons, drill.assertions[0].number)


def test_a_backup_that_is_gone_meanwhile_is_reported(restore):
    assert ABSENT == restore("gone.dump").failure.trouble
    assert ABSENT == restore("gone/").failure.trouble


def test_a_drill_that_takes_too_long_is_ended_and_violated(restore, shelf):
    drill = restore(shelf.put("slow.sql", plain(HANGS)), within_s=3.0)

    assert (LATE, RESTORE) == (drill.failure.trouble, drill.failure.phase)
    assert ("restore: not done within 3s",) == drill.reasons


def test_statement_that_the_server_refuses_is_reported_without_its_values(restore, shelf):
    drill = restore(shelf.put("refused.sql", plain("CREATE TABLE t (n int); INSERT INTO t VALUES ('geheim-4711');")))

    assert (REFUSED, True) == (drill.failure.trouble, "22P02" in drill.failure.text)
    assert SECRET not in str(drill)


def test_rows_that_pg_restore_complains_of_are_not_told(restore, shelf):
    broken = shelf.read("16.tar").replace(f"999\t{SECRET}".encode(), f"x99\t{SECRET}".encode())
    drill = restore(shelf.put("odd.tar", broken))

    assert REFUSED == drill.failure.trouble
    assert 'COPY failed for table "orders": invalid input syntax for type integer' == drill.failure.text


@pytest.mark.parametrize(
    "command", [r"\! touch {}", r"\copy orders to program 'touch {}'", r"SELECT 1; \! touch {}", r"\connect postgres"]
)
def test_a_command_of_psql_in_a_dump_is_never_run(restore, shelf, traces, command):
    trap = traces.for_everybody() / "trapped"
    with pytest.raises(ProbeError) as told:
        restore(shelf.put("trap.sql", plain(command.format(trap), ending="-- PostgreSQL database dump complete")))

    assert (ProblemKind.UNSUPPORTED, False) == (told.value.problem.kind, trap.exists())
    assert "commands of psql" in told.value.problem.text


def test_program_in_a_dump_is_refused_on_the_drills_own_server(restore, shelf, traces):
    trap = traces.for_everybody() / "trapped"
    drill = restore(shelf.put("program.sql", plain(f"COPY (SELECT 1) TO PROGRAM 'touch {trap}';")), dsn=None)

    assert (REFUSED, False) == (drill.failure.trouble, trap.exists())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"Salted__" + bytes(64), "encrypted by openssl"),
        (b"PK\x03\x04" + bytes(64), "none of pg_dump's formats"),
        (plain().replace("database dump", "database cluster dump"), "whole cluster"),
        (plain("DROP DATABASE orders;"), "makes or drops a database"),
    ],
)
def test_unsupported_backup_is_unknown_with_the_reason(restore, shelf, content, words):
    with pytest.raises(ProbeError) as told:
        restore(shelf.put("odd", content))

    assert (ProblemKind.UNSUPPORTED, True) == (told.value.problem.kind, words in told.value.problem.text)
    assert told.value.problem.advice


def test_missing_extension_is_reported_and_fails_only_its_users(restore, shelf):
    wants = "CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;"
    drill = restore(shelf.put("trigram.sql", plain(wants, "CREATE TABLE t (n int);")), assertions=(), dsn=None)
    assert ((), ("extension pg_trgm",)) == (drill.reasons, drill.missing)

    with pytest.raises(ProbeError, match="lacks extension pg_trgm"):
        restore(shelf.put("index.sql", plain(wants, "CREATE TABLE t (s public.gtrgm);")), dsn=None)


def test_a_disk_without_room_is_reported_before_anything_begins(restore):
    with pytest.raises(ProbeError) as told:
        restore("16.dump", disk_bytes=1e18)

    assert "needs 1000000TB of disk" in told.value.problem.text


def test_times_without_a_zone_use_the_zone_of_the_policy(restore):
    asked = (
        Assertion("newest", "SELECT max(at) FROM orders", is_time=True),
        Assertion("naive", "SELECT at FROM naive", is_time=True),
    )
    drill = restore("16.dump", assertions=asked, newest="SELECT max(at) FROM orders", time_zone="Europe/Berlin")

    for at in (drill.newest, *(one.time for one in drill.assertions)):
        assert timedelta(minutes=9) < drill.began_at - at < timedelta(hours=1)


def test_unexpected_assertion_result_is_reported(restore):
    asked = (
        Assertion("gone", "SELECT count(*) FROM no_such_table"),
        Assertion("null", "SELECT max(id) FROM empty"),
        Assertion("none", "SELECT id FROM empty"),
        Assertion("text", "SELECT note FROM orders LIMIT 1"),
        Assertion("never", "SELECT max(at) FROM empty", is_time=True),
        Assertion("endless", "SELECT 'infinity'::timestamptz", is_time=True),
    )
    drill = restore("16.dump", assertions=asked)

    told = {one.name: one.problem for one in drill.assertions}
    assert {"gone", "null", "none", "text", "never", "endless"} == {name for name, text in told.items() if text}
    assert "no_such_table" in told["gone"]
    assert "there is no row" in told["never"]
    assert SECRET not in str(told)
    assert 6 == len(drill.reasons)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_is_none_keeps_no_limit(restore, number):
    asked = (Assertion("share", f"SELECT '{number}'::float8"),)
    drill = restore("16.dump", assertions=asked, limits={"assertions": {"share": {"at_least": 1, "at_most": 5}}})

    assert (None, "a number that is none, such as NaN") == (drill.assertions[0].number, drill.assertions[0].problem)
    assert not drill.passed


def test_a_value_that_is_not_a_name_of_the_server_is_not_told(restore):
    drill = restore("16.dump", assertions=(Assertion("named", "SELECT count(note::regclass) FROM orders"),))

    assert "42P01" in drill.assertions[0].problem
    assert SECRET not in str(drill)


@pytest.mark.parametrize(("kind", "value"), [("regrole", SECRET), ("regcollation", f'"{SECRET}"')])
def test_rows_that_name_what_the_server_lacks_are_lost_and_that_is_reported(restore, shelf, kind, value):
    rows = ["CREATE TABLE t (kind " + kind + ");", "COPY t FROM stdin;", value, "\\."]
    inserted = [rows[0], f"INSERT INTO t VALUES ('{value}');"]  # noqa: S608 - a dump of our own
    for key, statements in ((f"{kind}.sql", rows), (f"{kind}-inserts.sql", inserted)):
        with pytest.raises(ProbeError, match="rows name a role or a collation") as told:
            restore(shelf.put(key, plain(*statements)), assertions=())

        assert SECRET not in str(told.value.problem)


@pytest.mark.parametrize("dsn", [None, "scratch"])
def test_a_dump_of_a_database_with_nothing_in_it_is_empty(restore, shelf, scratch, dsn):
    key = shelf.put("nothing.sql", plain("SET client_encoding = 'UTF8';", "CREATE SCHEMA app;"))
    drill = restore(key, assertions=(), dsn=dsn and scratch.dsn)

    assert (EMPTY, False) == (drill.failure and drill.failure.trouble, drill.passed)
    assert "restore: no table or view is in the restored database" == drill.reasons[0]


def test_rows_that_policies_hide_are_counted(restore, shelf):
    table = ["CREATE TABLE orders (id int);", "INSERT INTO orders VALUES (1);"]
    hidden = [f"ALTER TABLE orders {word} ROW LEVEL SECURITY;" for word in ("ENABLE", "FORCE")]
    drill = restore(shelf.put("hidden.sql", plain(*table, *hidden)), dsn=None)

    assert 1.0 == drill.assertions[0].number


def test_an_assertion_changes_nothing(restore):
    drill = restore("16.dump", assertions=(Assertion("writes", "SELECT pg_catalog.setval('s', 1) FROM orders"),))

    assert drill.assertions[0].problem


def test_limits_decide_whether_it_has_passed(restore):
    day_ago = TODAY - timedelta(days=1)
    limits = {"recovered_within_s": 0.001, "newest_within_s": 60, "assertions": {"orders": {"at_least": ROWS + 1}}}
    drill = restore("16.dump", limits=limits, data_time=day_ago, newest="SELECT max(at) FROM orders")

    starts = ("recovered in", "the backup's data", "the newest row", "orders 1000,")
    assert [True] * 4 == [one.startswith(start) for one, start in zip(drill.reasons, starts, strict=True)]


def test_tables_and_indexes_are_verified_where_the_server_can(server_that_verifies, restore, shelf, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(server_that_verifies.folder))
    table = "CREATE TABLE t AS SELECT n FROM generate_series(1, 999) n; CREATE INDEX ON t (n);"
    drill = restore(shelf.put("plain.sql", plain(table)), dsn=None, amcheck=True, assertions=())

    assert ("sound", "", ()) == (drill.amcheck, drill.amcheck_missing, drill.reasons)


def test_tables_and_indexes_that_could_not_be_verified_are_not_passed(restore):
    drill = restore("16.dump", dsn=None, amcheck=True)

    assert ("", False) == (drill.amcheck, drill.passed)
    assert "amcheck" in drill.amcheck_missing
