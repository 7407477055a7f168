"""Every command that a remedy of PostgreSQL prints, typed on a real server in that state, with authentication on."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from opscheck.core.redaction import Secrets
from opscheck.core.registry import Registry
from opscheck.core.remedy import Remedy
from opscheck.core.templates import render
from opscheck.demo.postgres import DATABASE, PostgreSQL
from opscheck.systems.postgres import (
    SYSTEM,
    access,
    activity,
    archiver,
    connections,
    indexes,
    locks,
    queries,
    query,
    replication,
    settings,
    size,
    vacuum,
)
from opscheck.systems.postgres.connections import RefusedBy
from tests.checks.postgres.worlds import execute
from tests.servers.replication import Replication
from tests.servers.replication import replication as replicated
from tests.servers.typed_commands import type_command
from tests.systems.postgres import typed_states as states
from tests.systems.postgres.typed_states import TABLE, State, after, role, setting, shop, unused_slot

READER, SUPERUSER = "opscheck", "postgres"
SEQUENCE = {
    "database": DATABASE,
    "schema": "shop",
    "sequence": "orders_id_seq",
    "type": "integer",
    "limit": "2147483647",
}
COLUMN = {"table_schema": "shop", "table": "orders", "column": "id"}
EXTENSION = {"database": DATABASE, "extension": "plpgsql"}


ANY = after()


class Typed(NamedTuple):
    """A command's role and state, and a part of its output."""

    role: str
    prints: str
    state: State
    place: str = "server"
    since: int = 0
    numbers: tuple[int, ...] = (0,)


def reads(prints: str, state: State = ANY, **options: object) -> Typed:
    """A read-only command: opscheck's own role is enough."""
    return Typed(READER, prints, state, **options)  # type: ignore[arg-type]


def changes(prints: str, state: State, **options: object) -> Typed:
    """A command that changes the server."""
    return Typed(SUPERUSER, prints, state, **options)  # type: ignore[arg-type]


TYPED: Mapping[Remedy, Typed] = {
    access.CREATE_ROLE: changes("GRANT ROLE", after()),
    access.DEMOTE: changes("ALTER ROLE", after("CREATE ROLE dba SUPERUSER", undo=("DROP ROLE dba",), role="dba")),
    access.REVOKE: changes(
        "REVOKE ROLE", after("GRANT pg_signal_backend TO app", role="app", membership="pg_signal_backend")
    ),
    access.ALTER_ROLE: changes("ALTER ROLE", after("ALTER ROLE app CREATEDB", role="app", attribute="NOCREATEDB")),
    activity.SHOW_SESSION: reads("leaking-worker", states.idle),
    activity.CANCEL: changes("t\n", states.running),
    activity.TERMINATE: changes("t\n", states.idle),
    activity.SET_STATEMENT_TIMEOUT: changes("ALTER ROLE", role(role="app")),
    activity.SET_IDLE_TIMEOUT: changes("ALTER ROLE", role(role="app")),
    activity.SET_TRANSACTION_TIMEOUT: changes("ALTER ROLE", role(role="app"), since=17),
    activity.SHOW_STANDBYS: reads("synchronous_standby_names", ANY),
    archiver.SHOW_ARCHIVER: reads("last_failed_wal", states.archiving_fails),
    archiver.SHOW_FAILED: reads("fails_still", states.archiving_fails),
    archiver.SHOW_WAITING: reads(".ready", states.archiving_fails),
    archiver.SWITCH_ON: changes("ALTER SYSTEM", setting(archive_mode="on"), place="primary"),
    archiver.END_SEGMENTS: changes("ALTER SYSTEM", setting(archive_timeout="60")),
    connections.SHOW_HOLDERS: reads("leaking-worker", states.connected),
    connections.SHOW_HOLDERS_AS_SUPERUSER: changes("leaking-worker", states.full),
    connections.END_IDLE: changes("(0 rows)", states.connected),
    connections.RAISE[RefusedBy.SERVER]: changes("ALTER SYSTEM", setting()),
    connections.RAISE[RefusedBy.ROLE]: changes("ALTER ROLE", role(role="app")),
    connections.RAISE[RefusedBy.DATABASE]: changes("ALTER DATABASE", role(database=DATABASE)),
    connections.SHOW_WALSENDERS: changes("startup", states.walsender),
    connections.RAISE_MAX_WAL_SENDERS: changes("ALTER SYSTEM", setting()),
    indexes.REBUILD: changes("REINDEX", states.invalid_index),
    indexes.DROP: changes("DROP INDEX", shop("CREATE INDEX twice ON shop.orders (id)", **TABLE, index="twice")),
    indexes.DROP_PARTITIONED: changes(
        "DROP INDEX",
        shop(
            "CREATE TABLE shop.parts (id int) PARTITION BY RANGE (id)",
            "CREATE INDEX twice ON shop.parts (id)",
            **TABLE,
            index="twice",
        ),
    ),
    indexes.DROP_CONSTRAINT: changes(
        "ALTER TABLE",
        shop(
            "ALTER TABLE shop.orders ADD CONSTRAINT again UNIQUE (id)",
            database=DATABASE,
            table_schema="shop",
            table="orders",
            constraint="again",
        ),
    ),
    locks.SHOW_WAITS: reads("waiter-1", states.waiting),
    locks.CANCEL: changes("t\n", states.running),
    locks.TERMINATE: changes("t\n", states.waiting),
    locks.SET_IDLE_TIMEOUT: changes("ALTER ROLE", role(role="app")),
    locks.ROLL_BACK: changes("ROLLBACK PREPARED", states.prepared),
    locks.SHOW_LOCKS: reads("AccessExclusiveLock", states.waiting),
    locks.RAISE_MAX_LOCKS: changes("ALTER SYSTEM", setting(max_locks_per_transaction="128")),
    query.RUN: reads("(1 row)", after(database=DATABASE, statement="SELECT 'it''s' AS one")),
    replication.SHOW_SLOT_OF_REPLICA: reads("standby_1", states.streaming, place="primary"),
    replication.SHOW_REPLICA: reads("streaming", states.streaming, place="primary"),
    replication.SHOW_REPLAY: reads("(", states.paused, place="standby", numbers=(0, 1)),
    replication.RESUME: changes("(1 row)", states.paused, place="standby"),
    replication.SHOW_RECEIVER: reads("streaming", states.streaming, place="standby"),
    replication.SHOW_SLOT: reads("physical", states.streaming, place="primary"),
    replication.DROP_SLOT: changes("(1 row)", unused_slot()),
    replication.DROP_LOST_SLOT: changes("(1 row)", unused_slot("lost")),
    replication.SET_KEEP_SIZE: changes("ALTER SYSTEM", setting(keep_size="512MB")),
    settings.SET: changes("ALTER SYSTEM", setting(setting="work_mem", wanted="8MB")),
    settings.SET_AND_RESTART: changes("ALTER SYSTEM", setting(setting="max_connections", wanted="40")),
    settings.SHOW_PENDING: reads("max_connections", setting(setting="max_connections")),
    settings.CREATE_EXTENSION: changes("CREATE EXTENSION", after("DROP EXTENSION plpgsql CASCADE", **EXTENSION)),
    settings.UPDATE_EXTENSION: changes("ALTER EXTENSION", after(**EXTENSION)),
    settings.REINDEX: changes("ALTER DATABASE", after(database=DATABASE), since=15),
    settings.REFRESH_COLLATION: changes(
        "ALTER COLLATION",
        after(
            "CREATE COLLATION sorted (locale = 'C')",
            undo=("DROP COLLATION sorted",),
            database=DATABASE,
            collation="sorted",
        ),
    ),
    settings.SHOW_CORRUPT: reads("checksum_failures"),
    settings.DROP_DATABASE: changes(
        "DROP DATABASE",
        after(
            "CREATE DATABASE half",
            "UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'half'",
            database="half",
        ),
    ),
    settings.SHOW_FILE_ERRORS: reads("work_men", states.file_error),
    size.SHOW_RELATIONS: reads("pg_proc", after(database=DATABASE)),
    size.SHOW_DATABASES: reads(DATABASE, after(database_count="100")),
    size.SHOW_SEQUENCE: reads("orders_id_seq", shop(**SEQUENCE)),
    size.WIDEN_COLUMN: changes("ALTER TABLE", shop(**SEQUENCE, **COLUMN)),
    size.WIDEN_SEQUENCE: changes("ALTER SEQUENCE", shop(**SEQUENCE)),
    size.REMOVE_LIMIT: changes("ALTER SEQUENCE", shop("ALTER SEQUENCE shop.orders_id_seq MAXVALUE 200", **SEQUENCE)),
    vacuum.END_SESSION: changes("t\n", states.idle),
    vacuum.ROLL_BACK: changes("ROLLBACK PREPARED", states.prepared),
    vacuum.DROP_SLOT: changes("(1 row)", unused_slot()),
    vacuum.FREEZE_XIDS: changes("VACUUM", shop(database=DATABASE)),
    vacuum.FREEZE_MULTIXACTS: changes("VACUUM", shop(database=DATABASE)),
    vacuum.ENABLE: changes("ALTER TABLE", shop(**TABLE)),
    vacuum.VACUUM: changes("VACUUM", shop(**TABLE)),
    vacuum.ANALYZE: changes("ANALYZE", shop(**TABLE)),
}
"""The remedies whose commands work on every server."""
EXTENDED: Mapping[Remedy, Typed] = {
    queries.SHOW_STATEMENT: reads("calls"),
    queries.EXPLAIN: changes("Seq Scan", after(), since=16),
    queries.RAISE_MAX: changes("ALTER SYSTEM", setting(raised_max="10000")),
}
"""The remedies that need pg_stat_statements."""


@pytest.fixture(scope="module", name="places")
def _places(installation) -> Iterator[dict[str, PostgreSQL | Replication]]:
    archiving = {"archive_mode": "on", "archive_command": "false", "max_prepared_transactions": "5"}
    with PostgreSQL(programs=installation, **archiving) as server, replicated(installation, slots=True) as pair:
        yield {"server": server, "primary": pair.primary, "standby": pair.standby.server, "pair": pair}


def named(remedies: Mapping[Remedy, Typed]) -> list[object]:
    modules = (access, activity, archiver, connections, indexes, locks, queries, query, replication, settings, size)
    names = {
        remedy: f"{module.__name__.rpartition('.')[2]}-{name}"
        for module in (*modules, vacuum)
        for name, remedy in vars(module).items()
        if isinstance(remedy, Remedy)
    }
    names |= {remedy: f"connections-RAISE-{by}" for by, remedy in connections.RAISE.items()}
    return [
        pytest.param(remedy, number, id=f"{names[remedy]}-{number}", marks=pytest.mark.since_postgres(typed.since))
        for remedy, typed in remedies.items()
        for number in typed.numbers
    ]


def test_every_declared_command_is_in_the_table():
    registry = Registry.bundled()
    kinds = [registry.expectation_type(check) for check in SYSTEM.expectations]
    declared = {remedy: tuple(range(len(remedy.commands))) for kind in kinds for remedy in kind.remedies}

    assert {remedy: typed.numbers for remedy, typed in (TYPED | EXTENDED).items()} == {
        remedy: numbers for remedy, numbers in declared.items() if numbers
    }


def test_command_that_changes_something_names_the_role_it_needs():
    by_superuser = (access.CREATE_ROLE, access.DEMOTE)  # the finding is that the dsn's role is one
    roles = ("as a superuser", "as its owner", "as the table's owner", "as a role that may", "-U postgres")
    changing = [one for one, typed in (TYPED | EXTENDED).items() if typed.role == SUPERUSER]
    silent = [command for one in changing for command in one.commands if not any(words in command for words in roles)]

    assert silent == [command for one in by_superuser for command in one.commands]


@pytest.mark.parametrize(("remedy", "number"), named(TYPED))
def test_command_works_as_printed(places, remedy, number):
    typed = TYPED[remedy]
    standing_for = "pair" if typed.state in {states.paused, states.streaming} else typed.place
    with typed.state(places[standing_for]) as facts:
        printed = type_remedy(remedy.commands[number], typed.role, places[typed.place], facts)

    assert typed.prints in printed


@pytest.mark.parametrize(("remedy", "number"), named(EXTENDED))
def test_command_about_statements_works_as_printed(contrib, server, stack, remedy, number):
    typed = EXTENDED[remedy]
    execute(server, "CREATE EXTENSION pg_stat_statements", "CREATE TABLE stated (id int)")
    stack.callback(execute, server, "DROP EXTENSION pg_stat_statements", "DROP TABLE stated")
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as connection:
        connection.execute("SELECT count(*) FROM stated WHERE id = 7")
        found = connection.execute("SELECT queryid FROM pg_stat_statements WHERE query LIKE '%stated WHERE id%'")
        (queryid,) = found.fetchone() or (0,)
    statement = {"queryid": str(queryid), "extension_schema": "public", "database": DATABASE}
    with typed.state(server) as facts:
        printed = type_remedy(remedy.commands[number], typed.role, server, statement | facts)

    assert typed.prints in printed


def type_remedy(command: str, role: str, server: PostgreSQL, facts: Mapping[str, str]) -> str:
    dsn, secrets = server.dsn(role), Secrets()
    secrets.add(dsn, "${DATABASE_URL}")
    where = {"dsn": dsn, "server": f"postgresql://127.0.0.1:{server.port}/{DATABASE}"}
    line = render(command, where | facts, secrets)
    assert line is not None
    secret = {"PGPASSWORD": str(conninfo_to_dict(dsn)["password"])} if "-U postgres" in line else {"DATABASE_URL": dsn}
    return type_command(line, secret)
