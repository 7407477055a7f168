"""The hosts of ingresses, and what `opscheck init` proposes for them."""

import msgspec
import pytest

from opscheck.core.discovery import DiscoveryInput
from opscheck.core.observation import Problem, ProblemKind
from opscheck.demo.kubernetes import ingress
from opscheck.systems.http.request import HttpAnswer, HttpRequest, Sample
from opscheck.systems.kubernetes.ingress_hosts import Host, hosts_of, propose
from opscheck.systems.kubernetes.ingresses import Ingress
from opscheck.systems.tls.handshake import Handshake, Handshakes, ShakeHands
from opscheck.testing import NOON, Answers
from tests.servers.discovering import TODAY

REFUSED = Problem(kind=ProblemKind.UNREACHABLE, text="connection refused", target_down=True)


def found(*made):
    return hosts_of(msgspec.convert(one, Ingress) for one in made)


def test_hosts_are_found_once_and_by_name():
    hosts = found(
        ingress("b", host="shop.example.com"), ingress("a", host="Shop.example.com"), ingress("c", host="a.b")
    )

    assert [(one.name, one.ingress) for one in hosts] == [("a.b", "c"), ("shop.example.com", "a")]


def test_encrypted_ingress_of_a_host_wins():
    hosts = found(ingress("a", host="x.com"), ingress("b", host="x.com", tls={"x-tls": ["x.com"]}))

    assert [(one.ingress, one.url, one.authority) for one in hosts] == [("b", "https://x.com", "x.com:443")]


@pytest.mark.parametrize(("covered", "url"), [("*.x.com", "https://a.x.com"), ("*.com", "http://a.x.com")])
def test_pattern_of_a_certificate_covers_one_label(covered, url):
    assert [one.url for one in found(ingress("a", host="a.x.com", tls={"x-tls": [covered]}))] == [url]


@pytest.mark.parametrize("host", ["*.example.com", ""])
def test_pattern_is_not_a_host(host):
    assert found(ingress("a", host=host)) == ()


@pytest.mark.parametrize(
    ("paths", "path"), [(["/"], "/"), (["/api/v2", "/api"], "/api"), (["/api(/|$)(.*)"], "/"), ([], "/")]
)
def test_shortest_plain_path_is_requested(paths, path):
    made = ingress("a", host="x.com")
    made["spec"]["rules"] = [{"host": "x.com", "http": {"paths": [{"path": one} for one in paths]}}]

    assert [one.path for one in found(made)] == [path]


def proposed(host, handshake, status=200):
    """What is proposed for a host that answers so."""
    answer = status
    if isinstance(status, int):
        samples = (Sample(status=status, seconds=0.1),)
        answer = HttpAnswer(url="", final_url="", status=status, headers={}, samples=samples)

    def answers(query):
        return {ShakeHands: handshake, HttpRequest: answer}[type(query)]

    return propose([host], "shop", lambda _target, _queries: Answers(answers, NOON), DiscoveryInput(today=TODAY))


SHOP = Host("shop.example.com", "front", "/", is_encrypted=True)
REACHED = Handshakes(server_name="shop.example.com", addresses=(Handshake(address="192.0.2.1:443"),))


def test_encrypted_host_is_an_endpoint_and_a_certificate():
    result = proposed(SHOP, REACHED)

    (target,) = result.targets
    assert (target.id, target.fields) == (
        "shop-example-com",
        {"kind": "http", "base_url": "https://shop.example.com"},
    )
    assert target.seen == "Ingress front of namespace shop."
    assert [(one.check, one.target) for one in result.proposals] == [
        ("http.response", "shop-example-com"),
        ("tls.certificate", ""),
    ]
    assert result.proposals[1].selector == {"endpoint": "shop.example.com:443"}


def test_plain_host_has_no_certificate():
    result = proposed(Host("shop.example.com", "front", "/", is_encrypted=False), REACHED)

    assert [one.check for one in result.proposals] == ["http.response"]


def test_host_that_resolves_and_refuses_is_proposed():
    refusing = Handshakes(
        server_name="shop.example.com", addresses=(Handshake(address="192.0.2.1:443", problem=REFUSED),)
    )

    result = proposed(SHOP, refusing, status=REFUSED)

    assert [one.check for one in result.proposals] == ["http.response", "tls.certificate"]
    assert result.not_seen == (
        "shop-example-com: answer not read: connection refused",
        "shop-example-com: certificate not read: connection refused",
    )


def test_host_that_does_not_resolve_here_is_reported():
    unknown = Problem(kind=ProblemKind.UNREACHABLE, text="the name shop.example.com does not exist", target_down=True)

    result = proposed(SHOP, unknown)

    assert (result.targets, result.proposals) == ((), ())
    assert result.not_seen == (
        "shop-example-com: ingress front: host shop.example.com not read: the name shop.example.com does not exist",
    )


def test_host_that_no_client_could_name_is_reported():
    result = proposed(Host("a b", "front", "/", is_encrypted=True), REACHED)

    assert result.not_seen == ("a-b: not proposed: a b is not a host name",)
