"""A real primary with real streaming standbys, which can be cut off, paused and made to lag."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from opscheck.demo.credentials import password
from opscheck.demo.postgres import PostgreSQL
from opscheck.transport.processes import wait_until

_WITHIN = 30
# Nobody listens there, and connecting is refused at once.
_NOBODY = make_conninfo(host="127.0.0.1", port=1)
_PAUSED = "SELECT pg_get_wal_replay_pause_state() = 'paused'"
_REPLAYED = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
_SMALL_PATIENCE = {"wal_retrieve_retry_interval": "100ms", "wal_receiver_status_interval": "1s"}


def ask(server: PostgreSQL, statement: LiteralString, *values: object) -> tuple[Any, ...]:
    """The first row of what a superuser is answered."""
    with psycopg.connect(server.dsn("postgres", "postgres"), autocommit=True) as connection:
        return connection.execute(statement, values or None).fetchone() or ()


def write(server: PostgreSQL, megabytes: int = 1) -> None:
    """Produce this much WAL, and something to replay."""
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS written (what text)")
        for _ in range(megabytes):
            connection.execute(
                "INSERT INTO written SELECT repeat(md5(random()::text), 32) FROM generate_series(1, 1000)"
            )
        connection.execute("TRUNCATE written")


class Standby:
    """A server that streams from another. `name` is its application_name, and of its slot."""

    def __init__(self, server: PostgreSQL, name: str, conninfo: str) -> None:
        self.server = server
        self.name = name
        self._conninfo = conninfo

    @property
    def streams(self) -> bool:
        """Whether its receiver is connected."""
        return ask(self.server, "SELECT status FROM pg_stat_wal_receiver") == ("streaming",)

    def disconnect(self) -> None:
        """Take its primary away, while it goes on to serve reads."""
        self._follow(_NOBODY)
        wait_until(lambda: not ask(self.server, "SELECT 1 FROM pg_stat_wal_receiver"), _WITHIN, "it still receives")

    def connect(self) -> None:
        """Give its primary back, and wait until it streams."""
        self._follow(self._conninfo)
        wait_until(lambda: self.streams, _WITHIN, f"{self.name} does not stream")

    def pause(self) -> None:
        """Go on to receive, and stop to replay."""
        ask(self.server, "SELECT pg_wal_replay_pause()")
        # Since version 14 a pause is asked for first, and there some time later.
        paused = (
            "pg_get_wal_replay_pause_state() = 'paused'" if self.server.major >= 14 else "pg_is_wal_replay_paused()"
        )
        wait_until(lambda: ask(self.server, f"SELECT {paused}") == (True,), _WITHIN, "it still replays")

    def resume(self) -> None:
        """Replay again."""
        ask(self.server, "SELECT pg_wal_replay_resume()")

    def promote(self) -> None:
        """Make it a primary of its own."""
        assert ask(self.server, "SELECT pg_promote()") == (True,)

    def _follow(self, conninfo: str) -> None:
        setting = sql.SQL("ALTER SYSTEM SET primary_conninfo = {}").format(sql.Literal(conninfo))
        with psycopg.connect(self.server.dsn("postgres", "postgres"), autocommit=True) as connection:
            connection.execute(setting)
            connection.execute("SELECT pg_reload_conf()")


class Replication:
    """A primary and its standbys, by name."""

    def __init__(self, primary: PostgreSQL, standbys: dict[str, Standby]) -> None:
        self.primary = primary
        self.standbys = standbys

    def __getitem__(self, name: str) -> Standby:
        return self.standbys[name]

    @property
    def standby(self) -> Standby:
        """The first."""
        return next(iter(self.standbys.values()))

    def wait_until_replayed(self) -> None:
        """Wait until every standby has replayed what was written until now."""
        (written,) = ask(self.primary, "SELECT pg_current_wal_lsn()::text")
        for one in self.standbys.values():
            wait_until(lambda one=one: ask(one.server, _REPLAYED, written) == (True,), _WITHIN, f"{one.name} lags")


@contextmanager
def replication(
    programs: Path | None = None,
    *,
    names: Sequence[str] = ("standby_1",),
    slots: bool = False,
    standby_settings: dict[str, str] | None = None,
    **settings: str,
) -> Iterator[Replication]:
    """
    A primary with standbys that stream and have caught up.

    names: each standby's application_name, and with `slots` of its physical slot. `settings` are for both,
    `standby_settings` for standbys alone.
    """
    secret = password()
    with ExitStack() as running:
        primary = running.enter_context(PostgreSQL(programs=programs, **settings))
        _create_replicator(primary, secret)
        for name in names if slots else ():
            ask(primary, "SELECT pg_create_physical_replication_slot(%s, true)", name)
        primary.stop()
        made = {}
        for name in names:
            slot = {"primary_slot_name": name} if slots else {}
            made[name] = _standby(primary, name, secret, {**settings, **slot, **(standby_settings or {})})
            running.enter_context(made[name].server)
        primary.start()
        pair = Replication(primary, made)
        for one in made.values():
            wait_until(lambda one=one: one.streams, _WITHIN, f"{one.name} does not stream")
        pair.wait_until_replayed()
        yield pair


def _create_replicator(primary: PostgreSQL, secret: str) -> None:
    create = sql.SQL("CREATE ROLE replicator LOGIN REPLICATION PASSWORD {}").format(sql.Literal(secret))
    with psycopg.connect(primary.dsn("postgres", "postgres"), autocommit=True) as connection:
        connection.execute(create)


def _standby(primary: PostgreSQL, name: str, secret: str, settings: dict[str, str]) -> Standby:
    """Begin a standby with the primary's data; the primary is stopped."""
    who = {"user": "replicator", "password": secret, "application_name": name}
    conninfo = make_conninfo(host="127.0.0.1", port=primary.port, **who)
    settings = {**_SMALL_PATIENCE, "primary_conninfo": conninfo, **settings}
    return Standby(PostgreSQL(copy_of=primary, files={"standby.signal": ""}, **settings), name, conninfo)
