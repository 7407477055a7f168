"""Real clients of a PostgreSQL that hold something, wait for something, or take long; gone when their block ends."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias

import psycopg

from opscheck.demo.postgres import DATABASE, PostgreSQL
from opscheck.transport.processes import wait_until

Admin: TypeAlias = psycopg.Connection[tuple[Any, ...]]

_STATE = "SELECT state, wait_event_type FROM pg_stat_activity WHERE pid = %s"
_GOES_WITHIN = 20
_ACCOUNTS = (
    "DROP TABLE IF EXISTS accounts",
    "CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL)",
    "INSERT INTO accounts SELECT number, 0 FROM generate_series(0, 99) AS number",
)


@contextmanager
def superuser(server: PostgreSQL) -> Iterator[Admin]:
    """
    A superuser who is no client that anybody counts: it comes as a walsender.

    `pg_stat_replication` has it, in state `startup`.
    """
    dsn = server.dsn("postgres", "postgres")
    # Walsenders do not speak the protocol of prepared statements.
    with psycopg.connect(dsn, replication="database", autocommit=True, prepare_threshold=None) as connection:
        yield connection


class Client:
    """One session. `do` waits for the answer; `begin_to` does not, and what it said may take for ever."""

    def __init__(self, connection: Admin) -> None:
        self.connection = connection
        self.pid = connection.info.backend_pid

    def do(self, *statements: str) -> None:
        """Execute each of them."""
        for statement in statements:
            self.connection.execute(statement)

    def begin_to(self, statement: str) -> None:
        """Send a statement, and leave its answer alone."""
        self.connection.pgconn.send_query(statement.encode())


@contextmanager
def client(
    server: PostgreSQL, role: str = "app", *, application: str = "leaking-worker", database: str = DATABASE
) -> Iterator[Client]:
    """A session in autocommit, so that transactions are where a test says BEGIN."""
    connection = psycopg.connect(server.dsn(role, database), application_name=application, autocommit=True)
    opened = Client(connection)
    try:
        yield opened
    finally:
        _end(server, opened)


def _end(server: PostgreSQL, client: Client) -> None:
    """Terminate it: a session that waits or sleeps does not see that its client has gone."""
    client.connection.close()
    if server.pid is None:
        return
    with superuser(server) as admin:
        admin.execute(f"SELECT pg_terminate_backend({client.pid})")
        wait_until(lambda: state(admin, client.pid) is None, _GOES_WITHIN, f"session {client.pid} does not go")


def state(admin: Admin, pid: int) -> tuple[str | None, str | None] | None:
    """State and kind of wait of a session, or None when it has gone."""
    found = admin.execute(_STATE.replace("%s", str(pid))).fetchone()
    return (found[0], found[1]) if found else None


@contextmanager
def idle_in_transaction(server: PostgreSQL, *statements: str, aborted: bool = False, **who: str) -> Iterator[Client]:
    """Did these statements in a transaction (one that reads, without any), and then nothing more."""
    with client(server, **who) as opened:
        opened.do("BEGIN", *(statements or ("SELECT count(*) FROM pg_class",)))
        if aborted:
            _fail(opened)
        yield opened


def _fail(client: Client) -> None:
    try:
        client.do("SELECT 1/0")
    except psycopg.errors.DivisionByZero:
        return


@contextmanager
def long_query(server: PostgreSQL, statement: str = "SELECT pg_sleep(600)", **who: str) -> Iterator[Client]:
    """In a statement that takes ten minutes."""
    with client(server, **who) as opened, superuser(server) as admin:
        opened.begin_to(statement)
        wait_until(lambda: state(admin, opened.pid)[:1] == ("active",), 20, "the query does not run")
        yield opened


@contextmanager
def blocked(server: PostgreSQL, waiters: int = 1, *, chain: bool = False) -> Iterator[tuple[Client, list[Client]]]:
    """
    A holder, idle in transaction, and who waits: all for the holder's table, or each for a row of the one before.

    The table `accounts` is made anew, with a hundred rows. Applications: `holder`, `waiter-1`, `waiter-2` and so on.
    """
    with ExitStack() as opened:
        admin = opened.enter_context(superuser(server))
        opened.callback(_drop_accounts, server)
        holder = opened.enter_context(client(server, application="holder"))
        holder.do(*_ACCOUNTS, "BEGIN", _update(0) if chain else "LOCK TABLE accounts")
        waiting: list[Client] = []
        for number in range(1, waiters + 1):
            one = opened.enter_context(client(server, application=f"waiter-{number}"))
            one.do("BEGIN", *([_update(number)] if chain else []))
            one.begin_to(_update(number - 1))
            wait_until(lambda one=one: state(admin, one.pid) == ("active", "Lock"), 20, "nobody waits")
            waiting.append(one)
        yield holder, waiting


def _update(row: int) -> str:
    return f"UPDATE accounts SET balance = balance + 1 WHERE id = {row}"  # noqa: S608 -- a number


def _drop_accounts(server: PostgreSQL) -> None:
    if server.pid is not None:
        with psycopg.connect(server.dsn("app"), autocommit=True) as connection:
            connection.execute("DROP TABLE IF EXISTS accounts")


@contextmanager
def connections_filled(server: PostgreSQL) -> Iterator[int]:
    """Every connection that `app` can have is held; how many there are."""
    try:
        yield server.fill_connections()
    finally:
        server.release_connections()
