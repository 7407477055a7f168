"""A real server that takes TLS: trusted or not, with and without a client's certificate."""

import pytest
import trustme

from opscheck.core.observation import ProblemKind
from opscheck.systems.redis.info import RedisInfo
from opscheck.systems.redis.probe import open_session
from opscheck.systems.redis.target import RedisTarget
from tests.servers.redis_topologies import redis_with_tls
from tests.systems.redis.probe.requests import ask_one, problem_of

INFO = RedisInfo("cache")


def test_a_server_whose_authority_is_named_is_trusted_and_no_other(redis_seven, tmp_path):
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    with redis_with_tls(redis_seven, tmp_path) as tls:
        info = ask_one(tls.url, INFO, ca_file=str(tls.authority))
        others = problem_of(tls.url, INFO, ca_file=str(tmp_path / "other.pem"))
        systems = problem_of(tls.url, INFO)

    assert info.is_primary
    assert "is signed by an unknown CA" in others.text
    assert "is signed by an unknown CA" in systems.text


def test_client_certificate_is_sent_to_a_server_that_requires_it(redis_seven, tmp_path):
    with redis_with_tls(redis_seven, tmp_path, clients_certificate=True) as tls:
        named = {"ca_file": str(tls.authority), "client_certificate": str(tls.certificate)}
        info = ask_one(tls.url, INFO, **named)
        without = problem_of(tls.url, INFO, ca_file=str(tls.authority))

    assert info.is_primary
    assert ProblemKind.UNREACHABLE is without.kind
    assert "requires a client certificate" in without.text


def test_ports_with_and_without_tls_are_distinguished(redis_seven, tmp_path):
    """One waits for the end of a line, the other hangs up."""
    with redis_with_tls(redis_seven, tmp_path) as tls:
        without = problem_of(f"rediss://127.0.0.1:{tls.server.port}", INFO, timeout_s=1, ca_file=str(tls.authority))
        wanted = problem_of(f"redis://127.0.0.1:{tls.port}", INFO)

    assert (ProblemKind.LATE, "is this a port without TLS?") == (without.kind, without.advice)
    assert f"no TLS handshake with 127.0.0.1:{tls.server.port} in " in without.text
    assert ProblemKind.UNREACHABLE is wanted.kind
    assert wanted.advice.startswith("if it requires TLS, write rediss://; ")


def test_a_certificate_that_cannot_be_read_is_named(tmp_path):
    target = RedisTarget(kind="redis", url="rediss://127.0.0.1:1", client_certificate=str(tmp_path / "none.pem"))

    with pytest.raises(Exception, match=r"the target's client_certificate .*none.pem cannot be read"):
        open_session(target, 1)
