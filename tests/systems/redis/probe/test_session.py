"""The Redis probe against real servers in each of their states, and against servers that misbehave."""

import ssl
from collections.abc import Iterator
from urllib.parse import quote

import pytest
import trustme
from pydantic import ValidationError

from opscheck import RedisTarget
from opscheck.core.observation import ProbeError, Problem, ProblemKind
from opscheck.demo.redis import Redis
from opscheck.systems.redis.ping import PingAnswer, RedisPing
from opscheck.systems.redis.probe import open_session
from opscheck.systems.redis.probe.address import Address
from opscheck.systems.redis.servers import Refusal
from tests.servers.redis import (
    blocked_by_a_script,
    failing_snapshots,
    full_of_clients,
    loading,
    say,
    set_config,
)
from tests.systems.redis.probe.requests import local

PONG = b"+PONG\r\n"


@pytest.fixture(name="redis")
def _redis(redis_program) -> Iterator[Redis]:
    with Redis() as server:
        yield server


def ping(url: str, timeout_s: float = 5, samples: int = 5, **fields) -> PingAnswer:
    session = open_session(RedisTarget(kind="redis", url=url, **fields), timeout_s)
    try:
        (reply,) = session.ask(RedisPing("cache", samples=samples), timeout_s).nodes
        return reply.answer
    finally:
        session.close()


def problem_of(url: str, **fields) -> Problem:
    with pytest.raises(ProbeError) as raised:
        ping(url, **fields)
    return raised.value.problem


# A healthy server


def test_server_replies_pong_to_each_ping(redis):
    answer = ping(redis.url, samples=7)

    assert answer.refusal is None
    assert 7 == len(answer.pings_s)
    assert 0 < answer.connect_s < 5


def test_only_auth_and_ping_are_sent(scripted):
    """CLIENT SETINFO and HELLO may be denied, and are not needed."""
    server = scripted(b"+OK\r\n", PONG, PONG)

    ping(local(server, "ops:p%40ss@") + "/3", samples=2)

    assert [
        b"*3\r\n$4\r\nAUTH\r\n$3\r\nops\r\n$4\r\np@ss\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        b"*1\r\n$4\r\nPING\r\n",
    ] == server.heard


def test_a_password_may_hold_any_character(redis):
    odd = "p@ss:/?#[]% ü"
    say(redis, "ACL", "SETUSER", "ödd:user", "on", f">{odd}", "-@all", "+ping")

    url = f"redis://{quote('ödd:user', safe='')}:{quote(odd, safe='')}@127.0.0.1:{redis.port}/0"

    assert ping(url).refusal is None


def test_a_socket_of_unix(tmp_path):
    path = tmp_path / "redis.sock"
    with Redis(unixsocket=str(path)) as redis:
        password = redis.url.partition(":@")[0].removeprefix("redis://")
        userinfo = redis.url.removeprefix("redis://").partition("@")[0]

        assert password
        assert ping(f"unix://{userinfo}@{path}?db=0").refusal is None


def test_tls(tmp_path, scripted):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = scripted(PONG, tls=context)
    url = f"rediss://127.0.0.1:{server.port}"

    assert ping(url, samples=1, ca_file=str(tmp_path / "ca.pem")).refusal is None
    assert "is signed by an unknown CA" in problem_of(url).text


def test_server_that_requires_a_client_certificate_is_reported(tmp_path, scripted):
    """The refusal comes only after the handshake, on a read."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    server = scripted(PONG, tls=context)

    problem = problem_of(f"rediss://127.0.0.1:{server.port}", ca_file=str(tmp_path / "ca.pem"))

    assert ProblemKind.UNREACHABLE is problem.kind
    assert "requires a client certificate" in problem.text


def test_ca_file_replaces_the_trust_store_of_the_system(tmp_path, scripted, monkeypatch):
    system, own = trustme.CA(), trustme.CA()
    system.cert_pem.write_to_path(tmp_path / "system.pem")
    own.cert_pem.write_to_path(tmp_path / "own.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    system.issue_cert("127.0.0.1").configure_cert(context)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "system.pem"))
    url = f"rediss://127.0.0.1:{scripted(PONG, tls=context).port}"

    assert ping(url, samples=1).refusal is None
    assert "unknown CA" in problem_of(url, ca_file=str(tmp_path / "own.pem")).text


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://h", Address("h", 6379)),
        ("redis://:pw@h:1/2", Address("h", 1, password="pw")),
        ("valkey://h", Address("h", 6379)),
        ("rediss://u:p%3A@h", Address("h", 6379, tls=True, user="u", password="p:")),
        ("redis://[::1]:7", Address("::1", 7)),
        ("unix:///run/redis.sock", Address("", 6379, path="/run/redis.sock")),
    ],
)
def test_urls(url, address):
    assert address == Address.of(url)


def test_a_place_shows_no_password():
    address = Address.of("redis://ops:geheim@cache.example:6379/0")

    assert "cache.example:6379" == str(address)
    assert "geheim" not in repr(address)


# States in which a server refuses


def test_loading(redis):
    with loading(redis):
        answer = ping(redis.url, timeout_s=20)

    assert Refusal.LOADING is answer.refusal
    assert answer.error.startswith("LOADING ")


def test_misconf(redis, tmp_path):
    with failing_snapshots(redis, tmp_path / "gone"):
        answer = ping(redis.url)

    assert Refusal.MISCONF is answer.refusal


def test_busy(redis):
    with blocked_by_a_script(redis):
        answer = ping(redis.url)

    assert Refusal.BUSY is answer.refusal


def test_too_many_clients(redis):
    with full_of_clients(redis):
        answer = ping(redis.url)

    assert Refusal.MAX_CLIENTS is answer.refusal


def test_replica_without_its_primary_refuses_since_redis_7(redis):
    set_config(redis, replica_serve_stale_data="no")
    say(redis, "REPLICAOF", "127.0.0.1", "1")

    answer = ping(redis.url)

    assert answer.refusal is (Refusal.MASTERDOWN if int(redis.version.split(".")[0]) >= 7 else None)


@pytest.mark.parametrize(
    ("error", "refusal"),
    [
        (b"-MASTERDOWN Link with MASTER is down\r\n", Refusal.MASTERDOWN),
        (b"-CLUSTERDOWN The cluster is down\r\n", Refusal.CLUSTERDOWN),
        (b"-READONLY You can't write against a read only replica.\r\n", Refusal.OTHER),
        (b"-ERR unknown command 'PING'\r\n", Refusal.OTHER),
        (b"-ERR max number of clients + cluster connections reached\r\n", Refusal.MAX_CLIENTS),
    ],
)
def test_errors_have_their_own_refusals(scripted, error, refusal):
    answer = ping(local(scripted(error)))

    assert (refusal, error[1:-2].decode()) == (answer.refusal, answer.error)


def test_message_before_a_closed_connection_is_read(scripted):
    """Too many clients: the error comes first, and the command is not read."""
    server = scripted(on_connect=b"-ERR max number of clients reached\r\n")

    assert Refusal.MAX_CLIENTS is ping(local(server, ":pw@")).refusal


def test_message_before_a_closed_unix_socket_is_read(tmp_path):
    """There the command cannot even be sent: EPIPE."""
    path = str(tmp_path / "redis.sock")
    with Redis(unixsocket=path) as redis, full_of_clients(redis):
        answer = ping(f"unix://:pw@{path}")

    assert Refusal.MAX_CLIENTS is answer.refusal


def test_empty_error_is_a_refusal(scripted):
    answer = ping(local(scripted(b"-\r\n")))

    assert (Refusal.OTHER, "-") == (answer.refusal, answer.error)


def test_a_server_that_refuses_in_the_middle_refuses(scripted):
    answer = ping(local(scripted(PONG, PONG, b"-LOADING\r\n")))

    assert (Refusal.LOADING, 2) == (answer.refusal, len(answer.pings_s))


# Authentication


def test_no_password(redis):
    problem = problem_of(f"redis://127.0.0.1:{redis.port}")

    assert ProblemKind.DENIED is problem.kind
    assert f"127.0.0.1:{redis.port} requires a password, and the target's url has none" == problem.text
    assert "ACL SETUSER opscheck on >PASSWORD resetkeys resetchannels -@all +info +ping" in problem.advice
    assert problem.target_down


def test_a_wrong_password(redis):
    problem = problem_of(f"redis://:geheim@127.0.0.1:{redis.port}")

    assert ProblemKind.DENIED is problem.kind
    assert "rejects the user and password in the target's url (WRONGPASS)" in problem.text


def test_a_user_without_the_permission(redis):
    say(redis, "ACL", "SETUSER", "opscheck", "on", ">pw", "-@all", "+info")

    problem = problem_of(f"redis://opscheck:pw@127.0.0.1:{redis.port}")

    assert ProblemKind.DENIED is problem.kind
    assert "ACL SETUSER opscheck +ping" in problem.advice
    assert not problem.target_down


def test_a_server_that_quotes_the_password_is_not_quoted(scripted):
    server = scripted(b"-ERR unknown command `AUTH`, with args beginning with: `geheim`, \r\n")

    problem = problem_of(local(server, ":geheim@"))

    assert ProblemKind.DENIED is problem.kind
    assert "geheim" not in problem.text + problem.advice


@pytest.mark.parametrize(
    "reply",
    [b"-ERR unknown command `AUTH`, with args beginning with: `geheim`", b"*2\r\n$4\r\nAUTH\r\n$6\r\ngeheim\r\n"],
    ids=["half an error", "an echo"],
)
def test_something_else_that_quotes_the_password_is_not_quoted(scripted, reply):
    problem = problem_of(local(scripted(reply), ":geheim@"))

    assert ProblemKind.UNREADABLE is problem.kind
    assert "geheim" not in problem.text + problem.advice


@pytest.mark.parametrize("user", ["", ":pw@"])
def test_protected_mode(scripted, user):
    problem = problem_of(local(scripted(b"-DENIED Redis is running in protected mode because protected ...\r\n"), user))

    assert ProblemKind.DENIED is problem.kind
    assert "protected mode" in problem.text


# No server, or another one


def test_nothing_listens(redis):
    redis.stop()

    problem = problem_of(redis.url)

    assert ProblemKind.UNREACHABLE is problem.kind
    assert f"connection refused by 127.0.0.1:{redis.port}" == problem.text
    assert problem.target_down


def test_no_such_socket(tmp_path):
    assert f"socket {tmp_path}/none not found" == problem_of(f"unix://{tmp_path}/none").text


def test_a_server_that_hangs_up_at_once(scripted):
    problem = problem_of(local(scripted()))

    assert ProblemKind.UNREACHABLE is problem.kind
    assert "closed the connection" in problem.text


@pytest.mark.parametrize("user", ["", ":pw@"])
@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x15\x03\x01",
        b"x" * 4_000_000,
        b"+pong",
        b"+pong\r\n",
        b"$4\r\nPANG\r\n",
        b"$-1\r\n",
        b"*1\r\n+PONG\r\n",
        b":1\r\n",
        b":one\r\n",
        b"$%d\r\n" % 10**30,
        b"*1\r\n" * 100_000,
    ],
    ids=lambda reply: str(reply[:20]),
)
def test_something_else_listens(scripted, reply, user):
    problem = problem_of(local(scripted(reply), user))

    assert ProblemKind.UNREADABLE is problem.kind
    assert "does not speak the Redis protocol: " in problem.text
    assert len(problem.text) < 1000


@pytest.mark.parametrize("user", ["", ":pw@"])
@pytest.mark.parametrize("drip_s", [0, 0.05], ids=["silent", "dripping"])
def test_a_server_that_takes_its_time_is_late(scripted, drip_s, user):
    server = scripted(b"+" + b"P" * 1000 if drip_s else b"", b"", drip_s=drip_s)

    problem = problem_of(local(server, user), timeout_s=0.2)

    assert ProblemKind.LATE is problem.kind
    assert problem.waited_s >= 0.2


@pytest.mark.parametrize(
    "url", ["cache.example", "http://ops:geheim@h", "redis://", "redis://:ge#heim@h", "redis://:ge/heim@h", "unix://"]
)
def test_malformed_url_is_refused_without_its_value(url):
    with pytest.raises(ValidationError, match="an address such as redis://cache") as refused:
        RedisTarget(kind="redis", url=url)

    assert "heim" not in str(refused.value)
