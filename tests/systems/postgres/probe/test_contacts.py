"""Each way in which a server keeps us out has a reason of its own, a word of advice, and ends in time."""

import shutil
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import psycopg
import pytest
import trustme
from psycopg.conninfo import make_conninfo

from opscheck import PostgresTarget
from opscheck.core.observation import ProbeError, Problem, ProblemKind
from opscheck.demo.postgres import PostgreSQL
from opscheck.systems.postgres.probe import open_session
from opscheck.transport.processes import ServerProcess, free_port, wait_until
from tests.servers.postgres import Admin

DENIED, UNREACHABLE, UNSUPPORTED, LATE = (
    ProblemKind.DENIED,
    ProblemKind.UNREACHABLE,
    ProblemKind.UNSUPPORTED,
    ProblemKind.LATE,
)
WITHIN = 5.0
NO_TLS = "the wheel's PostgreSQL is built without TLS: `make stores` fetches others"


@dataclass(frozen=True)
class Place:
    """Where the contacts of this table go wrong."""

    server: PostgreSQL
    admin: Admin
    stack: ExitStack

    def dsn(self, **words: str) -> str:
        return make_conninfo(self.server.dsn(), **words)

    def execute(self, statement: str, undo: str) -> None:
        self.stack.callback(self.admin.execute, undo)
        self.admin.execute(statement)


@pytest.fixture(name="place")
def _place(server: PostgreSQL, admin: Admin, stack: ExitStack) -> Place:
    return Place(server, admin, stack)


def contact(dsn: str, within: float = WITHIN) -> Problem:
    """Why the first contact fails; it is the whole target that is down, and that is known in time."""
    began = monotonic()
    with pytest.raises(ProbeError) as raised:
        open_session(PostgresTarget(kind="postgres", dsn=dsn), within).close()
    problem = raised.value.problem
    assert monotonic() - began < within + 5  # the machine may be busy
    assert problem.target_down
    return problem


def wrong_password(place: Place) -> str:
    return place.dsn(password="wrong")


def missing_password(place: Place) -> str:
    return place.dsn(password="", passfile="/dev/null")


def no_such_role(place: Place) -> str:
    return place.dsn(user="nobody_here")


def no_login(place: Place) -> str:
    place.execute("CREATE ROLE closed NOLOGIN PASSWORD 'x'", "DROP ROLE closed")
    return place.dsn(user="closed", password="x")


def no_connect(place: Place) -> str:
    place.execute(
        "REVOKE CONNECT ON DATABASE integration_db FROM PUBLIC", "GRANT CONNECT ON DATABASE integration_db TO PUBLIC"
    )
    return place.dsn()


def no_such_database(place: Place) -> str:
    return place.dsn(dbname="nowhere")


def closed_database(place: Place) -> str:
    place.execute("ALTER DATABASE template1 ALLOW_CONNECTIONS false", "ALTER DATABASE template1 ALLOW_CONNECTIONS true")
    return place.dsn(dbname="template1")


def no_server(place: Place) -> str:
    return place.dsn(port=str(free_port()))


def no_host(place: Place) -> str:
    return place.dsn(host="nowhere.invalid")


def no_tls(place: Place) -> str:
    return place.dsn(sslmode="require")


TABLE = [
    (wrong_password, DENIED, "(SQLSTATE 28P01)", "check user and password of the dsn; the password may also have"),
    (missing_password, DENIED, "no password supplied", "put the role's password into the dsn"),
    (no_such_role, DENIED, "(SQLSTATE 28P01)", "check user and password of the dsn; the password may also have"),
    (no_login, DENIED, 'role "closed" is not permitted to log in', 'ALTER ROLE "closed" LOGIN'),
    (no_connect, DENIED, "(SQLSTATE 42501)", 'GRANT CONNECT ON DATABASE "integration_db" TO "opscheck"'),
    (no_such_database, UNSUPPORTED, 'database "nowhere" does not exist', "name an existing database in the dsn"),
    (closed_database, UNSUPPORTED, "(SQLSTATE 55000)", 'ALTER DATABASE "template1" ALLOW_CONNECTIONS true'),
    (no_server, UNREACHABLE, "Connection refused", "check host and port of the dsn, that the server runs"),
    (no_host, UNREACHABLE, "nowhere.invalid", "check the host of the dsn, and DNS"),
    (no_tls, UNREACHABLE, "server does not support SSL", "enable ssl in the server"),
]


@pytest.mark.parametrize(("wrong", "kind", "text", "advice"), TABLE, ids=[one[0].__name__ for one in TABLE])
def test_refused_connection_has_reason_and_advice(place, wrong, kind, text, advice):
    problem = contact(wrong(place))

    assert kind == problem.kind
    assert text in problem.text
    assert problem.advice.startswith(advice)


def test_rejecting_pg_hba_line_is_not_a_wrong_password(own_server):
    (own_server.data / "pg_hba.conf").write_text("host all postgres 127.0.0.1/32 scram-sha-256\n")
    reload(own_server)
    problem = contact(make_conninfo(own_server.dsn(), sslmode="disable"))

    assert (DENIED, True) == (problem.kind, "(SQLSTATE 28000)" in problem.text)
    assert problem.advice.endswith("add a line for this host, user and database to pg_hba.conf on the server")


def reload(server: PostgreSQL) -> None:
    server.reload()
    wait_until(lambda: not lets_in(server), 10, "the server still lets us in")


def lets_in(server: PostgreSQL) -> bool:
    try:
        psycopg.connect(server.dsn(), sslmode="disable").close()
    except psycopg.OperationalError:
        return False
    return True


def test_dropped_packets_are_late_by_the_deadline():
    # The queue of the listening socket is full: the kernel drops packets.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, socket.create_connection(server.getsockname()):
        problem = contact(f"postgresql://someone@127.0.0.1:{server.getsockname()[1]}/shop", 0.3)

    assert (LATE, "no answer in 0.3 s") == (problem.kind, problem.text)
    assert "firewall" in problem.advice


def test_stopping_server_is_reported(own_server):
    with psycopg.connect(own_server.dsn("app")) as client:
        # The smart shutdown waits for this client and refuses others.
        own_server._process._process.terminate()
        wait_until(lambda: not lets_in(own_server), 10, "the server still takes clients")
        problem = contact(own_server.dsn())
        client.close()

    assert (UNREACHABLE, True) == (problem.kind, "shutting down (SQLSTATE 57P03)" in problem.text)
    assert problem.advice.startswith("find out why it stops")


def test_standby_without_hot_standby_is_reported(own_server):
    own_server.stop()
    (own_server.data / "standby.signal").touch()
    configure(own_server, "hot_standby = off")
    start(own_server)
    wait_until(lambda: "SQLSTATE 57P03" in refusal(own_server), 20, "the standby says something else")
    wait_until(lambda: streaming_or_waiting(own_server), 20, "the standby does not recover")
    problem = contact(own_server.dsn())

    assert UNREACHABLE == problem.kind
    # Before 14 this looks like a slow start.
    advice = "a standby that serves no reads" if own_server.major >= 14 else "wait until it has started"
    assert problem.advice.startswith(advice)


def configure(server: PostgreSQL, *lines: str) -> None:
    with (server.data / "postgresql.conf").open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


def start(server: PostgreSQL) -> None:
    """Start it, and do not wait until it accepts connections."""
    server._process = ServerProcess("PostgreSQL", server._command(), server._home / "log", user=server._user)


def refusal(server: PostgreSQL) -> str:
    try:
        open_session(PostgresTarget(kind="postgres", dsn=server.dsn()), WITHIN).close()
    except ProbeError as error:
        return error.problem.text
    return ""


def streaming_or_waiting(server: PostgreSQL) -> bool:
    return server.major < 14 or "accepting connections" in refusal(server)


@pytest.fixture(name="authority")
def _authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(name="with_tls")
def _with_tls(postgres_tls: Path, own_server: PostgreSQL, authority: trustme.CA) -> PostgreSQL:
    """A server that requires TLS, with a certificate for db.example."""
    certificate = authority.issue_cert("db.example")
    own_server.stop()
    for name, text in (
        ("server.key", certificate.private_key_pem.bytes()),
        ("server.crt", certificate.cert_chain_pems[0].bytes()),
        ("pg_hba.conf", b"hostssl all all 127.0.0.1/32 scram-sha-256\n"),
    ):
        place = own_server.data / name
        place.write_bytes(text)
        place.chmod(0o600)
        if own_server._user:
            shutil.chown(place, own_server._user)
    configure(own_server, "ssl = on")
    own_server.start()
    return own_server


def trusting(server: PostgreSQL, authority: trustme.CA, tmp_path: Path, **words: str) -> str:
    """A DSN that wants a certificate of this authority."""
    trusted = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(trusted)
    return make_conninfo(server.dsn(), sslmode="verify-full", sslrootcert=str(trusted), **words)


def test_server_that_requires_tls_is_reported(with_tls):
    problem = contact(make_conninfo(with_tls.dsn(), sslmode="disable"))

    assert (DENIED, True) == (problem.kind, "(SQLSTATE 28000)" in problem.text)
    assert problem.advice.startswith("request TLS with sslmode=require in the dsn")


def test_untrusted_certificate_is_reported(with_tls, tmp_path):
    problem = contact(trusting(with_tls, trustme.CA(), tmp_path))

    assert (UNREACHABLE, True) == (problem.kind, "certificate verify failed" in problem.text)
    assert problem.advice.startswith("name the CA of the server's certificate with sslrootcert")


def test_certificate_for_another_name_is_reported(with_tls, authority, tmp_path):
    problem = contact(trusting(with_tls, authority, tmp_path))

    assert 'server certificate for "db.example" does not match host name "127.0.0.1"' in problem.text
    assert problem.advice.startswith("use a host name of the certificate in the dsn")


def test_valid_certificate_connects(with_tls, authority, tmp_path):
    dsn = trusting(with_tls, authority, tmp_path, host="db.example", hostaddr="127.0.0.1")

    open_session(PostgresTarget(kind="postgres", dsn=dsn), WITHIN).close()


def test_missing_ca_file_is_a_policy_problem(with_tls):
    problem = contact(make_conninfo(with_tls.dsn(), sslmode="verify-full", sslrootcert="/nowhere/ca.pem"))

    assert UNSUPPORTED == problem.kind
    assert problem.advice.startswith("store the CA certificate in the file that sslrootcert")
