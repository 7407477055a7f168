"""What is proposed for the certificates of real TLS servers."""

from datetime import timedelta

import pytest
from pydantic_core import PydanticCustomError

from opscheck.core.observation import Problem, ProblemKind
from opscheck.systems.tls.discovery import _reached, discover
from opscheck.systems.tls.handshake import Handshake, Handshakes
from opscheck.systems.tls.target import Endpoint
from tests.discovery.looking import discovered, proposals
from tests.servers.tls import issued, tls_server


def test_certificate_behind_a_url_is_proposed_by_its_variable():
    with tls_server(issued("127.0.0.1")) as port:
        found = discovered(discover, API_URL=f"https://user:planted-4711@127.0.0.1:{port}/v1")

    proposal = proposals(found)["api-certificate"]
    assert (proposal.check, proposal.selector, proposal.fields) == ("tls.certificate", {"endpoint": "${API_URL}"}, {})
    assert proposal.reason.startswith("It ends on ")
    assert found.targets == ()
    assert "planted-4711" not in repr(found)
    assert str(port) not in repr(found)


def test_expired_certificate_is_proposed_as_it_should_be():
    with tls_server(issued("127.0.0.1", begins=-timedelta(days=500), ends=-timedelta(days=400))) as port:
        found = proposals(discovered(discover, API_URL=f"https://127.0.0.1:{port}"))

    assert found["api-certificate"].reason.startswith("It ended on ")
    assert found["api-certificate"].fields == {}


def test_endpoint_that_is_down_is_proposed_and_reported():
    found = discovered(discover, CACHE_URL="rediss://127.0.0.1:1")

    assert list(proposals(found)) == ["cache-certificate"]
    assert found.not_seen[0].startswith("cache: certificate not read: ")


def test_url_without_tls_has_no_certificate():
    assert discovered(discover, API_URL="http://127.0.0.1:1", CACHE_URL="redis://127.0.0.1:1").proposals == ()


def test_family_without_a_route_from_here_is_left_out():
    problem = Problem(kind=ProblemKind.UNREACHABLE, text="no route")
    four = Handshake(address="192.0.2.1:443")
    six = Handshake(address="[2001:db8::1]:443", problem=problem, no_route=True)

    assert _reached(Handshakes(server_name="a", addresses=(four, six))) == {"addresses": "ipv4"}
    assert _reached(Handshakes(server_name="a", addresses=(four,))) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://api.example.com", "api.example.com:443"),
        ("https://user:word@api.example.com:8443/v1?a=b", "api.example.com:8443"),
        ("https://[2001:db8::1]/", "[2001:db8::1]:443"),
        ("rediss://cache:6380/0", "cache:6380"),
        ("rediss://cache", "cache:6379"),
        ("ldaps://directory", "directory:636"),
    ],
)
def test_url_names_its_host_and_port(text, expected):
    assert Endpoint.parse(text).address == expected


@pytest.mark.parametrize("text", ["http://api.example.com", "https://", "https://a:99999", "https://a:x", "ftp://a"])
def test_url_without_tls_or_host_is_refused(text):
    with pytest.raises(PydanticCustomError):
        Endpoint.parse(text)
