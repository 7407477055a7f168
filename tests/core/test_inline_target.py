"""Targets that an expectation writes itself, where it stands."""

from textwrap import dedent

import pytest
from pydantic import ValidationError

from opscheck.core.expectation import Expectation
from opscheck.core.registry import Registry
from opscheck.policy.draft import read_policy
from opscheck.systems.http.request import HttpRequest
from opscheck.systems.tls.target import Endpoint
from opscheck.testing import expect


class Answering(Expectation, check="test.own_endpoint"):
    """The endpoint answers."""

    endpoint: Endpoint
    """Where it is."""

    def queries(self) -> list[HttpRequest]:
        """Any question."""
        return [HttpRequest(target=self.endpoint.name, path="/")]


@pytest.mark.parametrize(
    ("text", "host", "port", "address"),
    [
        ("api.example.com:443", "api.example.com", 443, "api.example.com:443"),
        ("127.0.0.1:5432", "127.0.0.1", 5432, "127.0.0.1:5432"),
        ("[2001:db8::1]:636", "2001:db8::1", 636, "[2001:db8::1]:636"),
    ],
)
def known() -> Registry:
    """The bundled systems, and the expectation of these tests."""
    registry = Registry.bundled()
    registry.add(Answering)
    return registry


def test_an_endpoint_is_a_host_and_a_port(text, host, port, address):
    endpoint = expect(Answering, endpoint=text, severity="P1").endpoint

    assert (host, port, address) == (endpoint.host, endpoint.port, endpoint.address)
    assert f"tls://{text}" == endpoint.name
    assert {"endpoint": address} == endpoint.facts()


@pytest.mark.parametrize("text", ["api.example.com", "https://api.example.com", "a:0", "a:70000", "::1:443", "", 443])
def test_what_is_no_endpoint_is_refused_with_an_example(text):
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


def test_an_endpoint_whose_variable_is_not_set_is_told_by_its_reference():
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
