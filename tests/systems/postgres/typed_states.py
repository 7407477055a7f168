"""The states of PostgreSQL in which a remedy's command is printed, each as a context that gives the command's facts."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeAlias

import psycopg

from opscheck.demo.postgres import DATABASE, PostgreSQL
from opscheck.systems.postgres.settings import CONFIGURATION_GRANTS
from opscheck.transport.processes import wait_until
from tests.checks.postgres.worlds import execute
from tests.servers.clients import (
    blocked,
    client,
    connections_filled,
    idle_in_transaction,
    long_query,
    superuser,
)
from tests.servers.replication import Replication, ask

Facts: TypeAlias = dict[str, str]
State: TypeAlias = Callable[[Any], AbstractContextManager[Facts]]

TABLE = {"database": DATABASE, "schema": "shop", "table": "orders"}
_SHOP = (
    "CREATE SCHEMA shop",
    "CREATE TABLE shop.orders (id serial PRIMARY KEY, item int) WITH (autovacuum_enabled = off)",
    "INSERT INTO shop.orders (item) SELECT 1 FROM generate_series(1, 100)",
)
_DROP_SHOP = "DROP SCHEMA IF EXISTS shop CASCADE"
_SETTINGS = "ALTER SYSTEM RESET ALL"


def after(*statements: str, undo: tuple[str, ...] = (), **facts: str) -> State:
    """The state after some statements of a superuser, which `undo` ends."""

    @contextmanager
    def state(server: PostgreSQL) -> Iterator[Facts]:
        execute(server, *statements)
        try:
            yield facts
        finally:
            execute(server, *undo)

    return state


def shop(*statements: str, **facts: str) -> State:
    """A schema with a table of a hundred rows and a sequence."""
    return after(_DROP_SHOP, *_SHOP, *statements, undo=(_DROP_SHOP,), **facts)


def setting(**facts: str) -> State:
    """Any state whose command changes a setting."""
    return after(undo=(_SETTINGS, "SELECT pg_reload_conf()"), **facts)


def role(**facts: str) -> State:
    """Any state whose command changes role `app`."""
    reset = ("ALTER ROLE app RESET ALL", "ALTER ROLE app CONNECTION LIMIT -1")
    return after(undo=(*reset, f"ALTER DATABASE {DATABASE} CONNECTION LIMIT -1"), **facts)


@contextmanager
def idle(server: PostgreSQL) -> Iterator[Facts]:
    """A session that is idle in a transaction."""
    with idle_in_transaction(server) as found:
        (began,) = ask(server, "SELECT xact_start FROM pg_stat_activity WHERE pid = %s", found.pid)
        yield {"pid": str(found.pid), "role": "app", "began": began.isoformat()}


@contextmanager
def running(server: PostgreSQL) -> Iterator[Facts]:
    """A query that does not end."""
    with long_query(server) as found:
        yield {"pid": str(found.pid), "role": "app"}


@contextmanager
def waiting(server: PostgreSQL) -> Iterator[Facts]:
    """A session that waits for the lock of an idle one."""
    with blocked(server) as (holder, (waiter,)):
        yield {"pid": str(holder.pid), "waiter": str(waiter.pid)}


@contextmanager
def connected(server: PostgreSQL) -> Iterator[Facts]:
    """A client that holds a connection."""
    with client(server):
        yield {"usable": "25", "application": "leaking-worker"}


@contextmanager
def full(server: PostgreSQL) -> Iterator[Facts]:
    """A server without a free connection for clients."""
    with connections_filled(server):
        yield {}


@contextmanager
def walsender(server: PostgreSQL) -> Iterator[Facts]:
    """A walsender that has requested no WAL."""
    with superuser(server):
        yield {}


@contextmanager
def prepared(server: PostgreSQL) -> Iterator[Facts]:
    """A prepared transaction."""
    with psycopg.connect(server.dsn("app"), autocommit=True) as connection:
        for statement in ("BEGIN", "CREATE TABLE prepared_once (id int)", "PREPARE TRANSACTION 'order 7'"):
            connection.execute(statement)
    yield {"gid": "order 7", "database": DATABASE, "gid_database": DATABASE}


@contextmanager
def archiving_fails(server: PostgreSQL) -> Iterator[Facts]:
    """A file of WAL that waits, because archive_command fails."""
    execute(server, "CREATE TABLE IF NOT EXISTS written (id int)", "SELECT pg_switch_wal()")
    failed = "SELECT last_failed_wal FROM pg_stat_archiver WHERE failed_count > 0"
    wait_until(lambda: bool(ask(server, failed)), 20, "archiving does not fail")
    (wal,) = ask(server, failed)
    yield {"failed_wal": wal, "waiting_wal": wal}


@contextmanager
def invalid_index(server: PostgreSQL) -> Iterator[Facts]:
    """An invalid unique index, whose duplicate rows are gone."""
    with shop(**TABLE, index="Item")(server) as facts:
        try:
            execute(server, 'CREATE UNIQUE INDEX CONCURRENTLY "Item" ON shop.orders (item)')
        except psycopg.errors.UniqueViolation:
            execute(server, "DELETE FROM shop.orders WHERE id > 1")
        yield facts


@contextmanager
def file_error(server: PostgreSQL) -> Iterator[Facts]:
    """An unknown setting in postgresql.conf, and a role that may read it."""
    file = server.data / "postgresql.conf"
    text = file.read_text()
    execute(server, *(grant.format(role="opscheck") for grant in CONFIGURATION_GRANTS))
    try:
        file.write_text(f"{text}work_men = 1\n")
        yield {}
    finally:
        file.write_text(text)


@contextmanager
def paused(pair: Replication) -> Iterator[Facts]:
    """A standby whose replay is paused."""
    pair.standby.pause()
    try:
        (lsn,) = ask(pair.standby.server, "SELECT pg_last_wal_replay_lsn()::text")
        yield {"lsn": lsn}
    finally:
        pair.standby.resume()


@contextmanager
def streaming(pair: Replication) -> Iterator[Facts]:
    """A standby that streams, with a slot on its primary."""
    (lsn,) = ask(pair.standby.server, "SELECT pg_last_wal_replay_lsn()::text")
    yield {"replica": pair.standby.name, "slot": pair.standby.name, "lsn": lsn}


def unused_slot(name: str = "gone") -> State:
    """A slot without a consumer."""
    return after(f"SELECT pg_create_physical_replication_slot('{name}', true)", slot=name)
