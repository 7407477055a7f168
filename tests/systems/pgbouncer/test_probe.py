"""The tables of PgBouncer's console, which have other columns in each version."""

import re
import socket
import struct
import threading
from contextlib import closing
from dataclasses import dataclass
from time import monotonic

import pytest

from opscheck import Query
from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.pgbouncer.pools import ListPools, Pool, PooledDatabase, Pools
from opscheck.systems.pgbouncer.probe import PgbouncerSession, _read_pools, open_session
from opscheck.systems.pgbouncer.target import PgbouncerTarget

OLD = {
    "POOLS": """
        database  user      cl_active cl_waiting sv_active sv_idle sv_used sv_tested sv_login maxwait
        shop      app       3         2          4         1       2       0         1        7
        pgbouncer pgbouncer 1         0          0         0       0       0         0        0
    """,
    "DATABASES": """
        name      host port database  force_user pool_size reserve_pool pool_mode max_connections current_connections
        shop      db   5432 shop      -          20        0            -         10              8
        pgbouncer -    6432 pgbouncer pgbouncer  2         0            statement 0               0
    """,
    "USERS": """
        name pool_mode
        app  -
    """,
    "LISTS": """
        list         items
        used_clients 6
    """,
}
NEW = {
    "POOLS": """
        database user cl_active cl_waiting sv_active sv_active_cancel sv_idle sv_used maxwait maxwait_us pool_mode
        shop     app  3         2          4         1                1       2       7       250000     transaction
    """,
    "DATABASES": """
        name host port pool_size max_connections current_connections max_client_connections paused disabled
        shop -    5432 20        0               8                   0                      1      1
    """,
    "USERS": """
        name pool_size reserve_pool_size pool_mode max_user_connections
        app  30        -                 -         0
    """,
    "LISTS": """
        list          items
        used_clients  6
        login_clients 2
    """,
    "CONFIG": """
        key             value default changeable
        max_client_conn 100   100     yes
    """,
    "STATE": """
        key       value
        active    no
        paused    yes
        suspended no
    """,
}


@dataclass(frozen=True)
class Unheard(Query[int], name="tests.unheard-by-pgbouncer"):
    """A query that no probe answers."""


def read(tables: dict[str, str]) -> Pools:
    def show(what: str) -> list[dict[str, str]]:
        if what not in tables:
            raise ProbeError(ProblemKind.UNSUPPORTED, f"this version does not support SHOW {what}")
        names, *lines = (line.split() for line in tables[what].strip().splitlines())
        return [dict(zip(names, ("" if one == "-" else one for one in line), strict=True)) for line in lines]

    return _read_pools(show, None)


def test_tables_of_an_old_version_are_read():
    assert read(OLD) == Pools(
        pools=(Pool(database="shop", user="app", active=3, waiting=2, waited_s=7, servers=8, up=7, in_use=5, size=20),),
        databases=(PooledDatabase(name="shop", server="db:5432", connections=8, max_connections=10),),
        clients=5,  # opscheck's own is left out
    )


def test_tables_of_a_new_version_are_read():
    assert read(NEW) == Pools(
        pools=(
            Pool(
                database="shop",
                user="app",
                mode="transaction",
                active=3,
                waiting=2,
                waited_s=7.25,
                servers=8,
                up=8,
                in_use=5,
                size=30,  # the user's own goes before the database's
            ),
        ),
        databases=(PooledDatabase(name="shop", server="", paused=True, disabled=True, connections=8),),
        clients=7,
        max_clients=100,
        paused=True,
    )


LOGGING_IN = OLD | {
    "POOLS": """
        database user cl_active cl_waiting sv_active sv_login maxwait
        shop     app  0         2          0         1        0
    """
}


def test_clients_that_log_in_wait_since_their_last_message():
    clients = """
        user     database  state   request_time
        app      shop      waiting 2026-03-01T12:00:00
        app      shop      waiting 2026-03-01T12:00:20
        app      shop      active  2026-03-01T11:00:00
        other    shop      waiting 2026-03-01T11:00:00
        opscheck pgbouncer active  2026-03-01T12:00:30
    """
    (pool,) = read(LOGGING_IN | {"CLIENTS": clients}).pools

    assert (pool.waited_s, pool.up) == (30, 0)


def test_waiting_clients_without_times_are_unknown():
    with pytest.raises(ProbeError, match="SHOW CLIENTS does not show request_time"):
        read(LOGGING_IN | {"CLIENTS": "user database state\n app shop waiting"})


def test_tested_servers_count_as_idle():
    (pool,) = read(OLD).pools

    assert (8, 5) == (pool.servers, pool.in_use)  # sv_idle 1, sv_used 2


def silent(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


def console(connection: socket.socket) -> None:
    """Accepts the login, and then stays silent."""
    connection.recv(4096)
    ready = b"R" + struct.pack("!II", 8, 0) + b"Z" + struct.pack("!I", 5) + b"I"
    connection.sendall(ready)
    silent(connection)


def leaving(connection: socket.socket) -> None:
    """Accepts the login, and closes the connection at the first query."""
    connection.recv(4096)
    connection.sendall(b"R" + struct.pack("!II", 8, 0) + b"Z" + struct.pack("!I", 5) + b"I")
    connection.recv(4096)


@pytest.mark.parametrize(
    ("speak", "times", "kind"),
    [(silent, 1, ProblemKind.LATE), (console, 1, ProblemKind.LATE), (leaving, 2, ProblemKind.UNREACHABLE)],
)
def test_silent_or_closed_console_is_reported_in_time(speak, times, kind):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)

        def serve() -> None:
            for _ in range(times):
                with server.accept()[0] as connection:
                    connection.settimeout(10)
                    speak(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        dsn = f"postgresql://someone@127.0.0.1:{server.getsockname()[1]}/pgbouncer?sslmode=disable&gssencmode=disable"
        began = monotonic()
        with pytest.raises(ProbeError) as raised:
            ask(dsn)
        thread.join(10)

    assert monotonic() - began < 5
    assert (kind, True) == (raised.value.problem.kind, raised.value.problem.target_down)


def ask(dsn: str) -> None:
    with closing(open_session(PgbouncerTarget(kind="pgbouncer", dsn=dsn), 0.5)) as session:
        session.ask(ListPools("pool"), 0.5)


def test_query_of_another_system_is_not_supported():
    session = PgbouncerSession(PgbouncerTarget(kind="pgbouncer", dsn="postgresql://someone@127.0.0.1/pgbouncer"))
    with pytest.raises(ProbeError, match=re.escape("does not answer tests.unheard-by-pgbouncer")):
        session.ask(Unheard("pool"), 1)
