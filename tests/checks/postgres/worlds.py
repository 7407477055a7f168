"""Shared fixtures of tests of vacuum and indexes: a superuser, a schema, clients that keep rows."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TypeAlias, TypeVar

import psycopg
import pytest

from opscheck.demo.postgres import DATABASE, PostgreSQL
from opscheck.transport.processes import wait_until
from tests.servers.clients import Client, client

Do: TypeAlias = Callable[..., None]
T = TypeVar("T")


def execute(server: PostgreSQL, *statements: str, database: str = DATABASE) -> None:
    """Execute as a superuser, and end the session, which then reports its counters."""
    with psycopg.connect(server.dsn("postgres", database), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.fixture
def do(server: PostgreSQL) -> Do:
    """Executes as a superuser."""
    return lambda *statements, database=DATABASE: execute(server, *statements, database=database)


@pytest.fixture
def schema(do: Do, stack: ExitStack) -> None:
    """An empty schema `shop`."""
    stack.callback(do, "DROP SCHEMA IF EXISTS shop CASCADE")
    do("CREATE SCHEMA shop")


@contextmanager
def snapshot(server: PostgreSQL) -> Iterator[Client]:
    """A report that is idle in a transaction, and keeps its snapshot."""
    with client(server, application="report") as report:
        report.do("BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT count(*) FROM pg_class")
        yield report


def burn(server: PostgreSQL, transactions: int) -> None:
    """Let that many transactions pass."""
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as connection:
        for _ in range(transactions):
            connection.execute("SELECT txid_current()")


def burn_many(server: PostgreSQL, transactions: int) -> None:
    """The same in one go: each block that may fail and writes is a transaction in the transaction."""
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as connection:
        connection.execute("CREATE TEMPORARY TABLE burnt (id int)")
        block = "BEGIN INSERT INTO burnt VALUES (n); EXCEPTION WHEN division_by_zero THEN NULL; END"
        connection.execute(f"DO $$ BEGIN FOR n IN 1..{transactions} LOOP {block}; END LOOP; END $$")


def eventually(look: Callable[[], Sequence[T]]) -> Sequence[T]:
    """The first findings of `look`: before version 15, counters arrive a moment later."""
    wait_until(lambda: bool(look()), 20, "nothing is found")
    return look()
