"""What a policy may say of targets, by name and inline."""

from textwrap import dedent

import pytest
from pydantic import ValidationError

from opscheck import HostTarget, HttpTarget, PostgresTarget, RedisTarget
from opscheck.core.expectation import Expectation
from opscheck.core.registry import Registry
from opscheck.core.target import without_credentials
from opscheck.policy.draft import read_policy
from opscheck.systems.http.request import HttpRequest
from opscheck.systems.redis.servers import DISCOVERY
from opscheck.systems.tls.target import Endpoint
from opscheck.testing import expect


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (HttpTarget, {"kind": "http", "base_url": "http://h"}),
        (PostgresTarget, {"kind": "postgres", "dsn": "postgres://h"}),
        (HostTarget, {"kind": "host", "uri": "local://"}),
    ],
)
def test_concurrency_of_zero_is_rejected(kind, fields):
    with pytest.raises(ValidationError):
        kind(**fields, concurrency=0)


def test_commands_can_name_an_api_and_its_address_has_no_credentials():
    api = HttpTarget(kind="http", base_url="https://ops:geheim@api.example.com/")

    assert {"base_url": "https://ops:geheim@api.example.com", "curl_options": ()} == api.facts()
    assert "https://api.example.com/" == api.address


def test_commands_can_name_a_data_store_as_opscheck_reaches_it():
    url = "redis://:geheim@cache.example:6379/0"

    connection = ("-u", url, "--user", "default")
    assert {"url": url, "connection": connection} == RedisTarget(kind="redis", url=url).facts()
    assert {"dsn": "dbname=shop"} == PostgresTarget(kind="postgres", dsn="dbname=shop").facts()


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://ops:geheim@api.example.com/v1?token=geheim#geheim", "https://api.example.com/v1"),
        ("https://geheim@api.example.com", "https://api.example.com"),
        ("https://registry.example.com:8443/v2/@scope", "https://registry.example.com:8443/v2/@scope"),
        ("postgres://app:ge@heim@db.example.com:5432/shop", "postgres://db.example.com:5432/shop"),
        ("postgres://app:geheim@one:5432,two:5433/shop", "postgres://one:5432,two:5433/shop"),
        ("postgres://app:geheim?geheim@db.example.com/shop", "postgres://db.example.com/shop"),
        ("postgres://app:geheim/geheim@db.example.com/shop", "postgres://db.example.com/shop"),
        ("host=db.example.com user=app password='geheim host=geheim' dbname=shop", "host=db.example.com dbname=shop"),
        ("host = db.example.com port = 5432 password = geheim", "host=db.example.com port=5432"),
        ("password=geheim://geheim host=db.example.com", "host=db.example.com"),
        ("dbname=postgres://app:geheim@db.example.com/shop", "dbname=postgres://db.example.com/shop"),
        ("redis://:geheim@[::1]:6379/0", "redis://[::1]:6379/0"),
        ("unix://:geheim@/run/redis.sock?db=1", "unix:///run/redis.sock"),
        ("ssh://root:geheim@db.example.com:22", "ssh://db.example.com:22"),
        ("local://", "local://"),
        ("${DATABASE_URL}", "${DATABASE_URL}"),
    ],
)
def test_address_has_no_credentials(address, shown):
    assert shown == without_credentials(address)


def test_a_host_name_alone_is_the_address_of_a_host():
    assert "web1" == HostTarget(kind="host", uri="ops@web1").address
    assert "ssh://web1" == HostTarget(kind="host", uri="ssh://ops@web1").address


@pytest.mark.parametrize(
    ("fields", "finds", "is_one"),
    [
        ({"url": "redis://one"}, "", True),
        ({"url": "redis://one,two"}, "", False),
        ({"url": "redis://one", "nodes": "cluster"}, "cluster", False),
        ({"url": "redis://one", "nodes": "replicas"}, "replicas", False),
        ({"url": "redis://one", "sentinel": "cache"}, "sentinel", False),
        ({"url": "redis://one", "sentinel": "cache", "nodes": "replicas"}, "sentinel, replicas", False),
    ],
)
def test_a_redis_target_knows_whether_it_is_one_server(fields, finds, is_one):
    target = RedisTarget(kind="redis", **fields)

    assert (finds, is_one) == (target.finds, target.is_one_server)
    facts = {"url": fields["url"], "connection": ("-u", fields["url"])}
    assert (facts if is_one else {}) == target.facts()
    assert finds == "" or finds in DISCOVERY


def test_each_server_of_a_redis_target_has_an_address_of_its_own():
    one = RedisTarget(kind="redis", url="redis://:geheim@cache.example/3")
    several = RedisTarget(kind="redis", url="rediss://ops:geheim@one:1,two:2/3")

    assert "redis://cache.example/3" == one.address_of("cache.example:6379")
    assert "rediss://two:2" == several.address_of("two:2")
    assert "rediss://one:1,two:2/3" == several.address


@pytest.mark.parametrize("fields", [{"sentinel": ""}, {"sentinel": "cache", "nodes": "cluster"}, {"nodes": "every"}])
def test_contradictory_redis_target_is_rejected(fields):
    with pytest.raises(ValidationError):
        RedisTarget(kind="redis", url="redis://one", **fields)


# Inline targets


class Answering(Expectation, check="test.own_endpoint"):
    """The endpoint answers."""

    endpoint: Endpoint
    """Where it is."""

    def queries(self) -> list[HttpRequest]:
        """Any question."""
        return [HttpRequest(target=self.endpoint.name, path="/")]


def known() -> Registry:
    """The bundled systems, and the expectation of these tests."""
    registry = Registry.bundled()
    registry.add(Answering)
    return registry


@pytest.mark.parametrize(
    ("text", "host", "port", "address"),
    [
        ("api.example.com:443", "api.example.com", 443, "api.example.com:443"),
        ("127.0.0.1:5432", "127.0.0.1", 5432, "127.0.0.1:5432"),
        ("[2001:db8::1]:636", "2001:db8::1", 636, "[2001:db8::1]:636"),
    ],
)
def test_an_endpoint_is_a_host_and_a_port(text, host, port, address):
    endpoint = expect(Answering, endpoint=text, severity="P1").endpoint

    assert (host, port, address) == (endpoint.host, endpoint.port, endpoint.address)
    assert f"tls://{text}" == endpoint.name
    assert {"endpoint": address} == endpoint.facts()


@pytest.mark.parametrize("text", ["api.example.com", "http://api.example.com", "a:0", "a:70000", "::1:443", "", 443])
def test_invalid_endpoint_is_rejected_with_an_example(text):
    with pytest.raises(ValidationError, match=r"api\.example\.com:443"):
        expect(Answering, endpoint=text, severity="P1")


def test_an_expectation_is_about_the_endpoint_that_it_names():
    one = expect(Answering, endpoint="a:443", severity="P1")

    assert one.system is one.endpoint
    assert (one.endpoint,) == one.systems


def test_the_targets_of_a_policy_include_those_that_its_expectations_bring(tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        dedent("""\
            version: 1
            environment: test
            targets: {api: {kind: http, base_url: "http://api"}}
            expectations:
              - {id: one, check: test.own_endpoint, endpoint: "a:443", severity: P1}
              - {id: two, check: test.own_endpoint, endpoint: "a:443", severity: P2}
        """)
    )

    assert {"api", "tls://a:443"} == set(read_policy(policy, registry=known()).finish(today=None).targets)


def test_endpoint_with_an_unset_variable_shows_its_reference():
    endpoint = Endpoint.parse("${API_ENDPOINT}")

    assert ("tls://${API_ENDPOINT}", "${API_ENDPOINT}") == (endpoint.name, endpoint.address)


def test_an_endpoint_of_the_environment_has_the_same_name_in_every_environment(tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        dedent("""\
            version: 1
            environment: test
            public_variables: [SHOP]
            expectations:
              - {id: one, check: test.own_endpoint, endpoint: "${SHOP}:443", severity: P1}
        """)
    )

    (one,) = read_policy(policy, registry=known(), environ={"SHOP": "shop.example"}).finish(today=None).expectations
    (unset,) = read_policy(policy, registry=known(), environ={}, keep_unset=True).finish(today=None).expectations

    assert "tls://${SHOP}:443" == one.endpoint.name == unset.endpoint.name
    assert ("shop.example:443", "${SHOP}:443") == (one.endpoint.address, unset.endpoint.address)
