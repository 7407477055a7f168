"""What systems share when they propose a first policy."""

import pytest

from opscheck.core.discovery import DiscoveryInput, Variable, headroom, slug, variables


def test_variables_with_addresses_are_named_after_their_names():
    found = variables({"REDIS_URL": "redis://cache", "CACHE_DSN": "unix:///run/redis.sock", "HOME": "/root"})

    assert list(found) == [
        Variable("CACHE_DSN", "unix", "unix:///run/redis.sock", "cache"),
        Variable("REDIS_URL", "redis", "redis://cache", "redis"),
    ]


def test_variables_with_one_value_are_one():
    assert [one.name for one in variables({"B_URL": "http://a", "A_URL": "http://a"})] == ["A_URL"]


def test_variables_that_would_have_one_id_have_their_full_names():
    found = variables({"API_URL": "http://a", "API_URI": "http://b", "OTHER_URL": "http://c"})

    assert [one.id for one in found] == ["api-uri", "api-url", "other"]


@pytest.mark.parametrize("name", ["CI_SERVER_URL", "GITHUB_API_URL", "PIP_INDEX_URL", "__URL", "URL", "API_URLS"])
def test_variable_of_a_tool_or_another_name_is_left_out(name):
    assert list(variables({name: "http://a"})) == []


def test_empty_variable_is_left_out():
    assert list(variables({"API_URL": ""})) == []


def test_value_without_scheme_has_none():
    assert [one.scheme for one in variables({"DATABASE_DSN": "host=a dbname=b"})] == [""]


def test_values_of_variables_are_not_in_any_representation():
    given = DiscoveryInput(environment={"API_URL": "http://user:planted@a"}, today=None)  # type: ignore[arg-type]

    assert "planted" not in repr(given) + repr(list(variables(given.environment)))


@pytest.mark.parametrize(
    ("text", "expected"), [("DATABASE", "database"), ("Shop_API v2", "shop-api-v2"), ("__a__", "a"), ("é", "")]
)
def test_slug_has_letters_digits_and_hyphens(text, expected):
    assert slug(text) == expected


@pytest.mark.parametrize(
    ("observed", "default", "expected"),
    [(0.01, 0.5, 0.5), (0.3, 0.5, 1.0), (0.9, 1.0, 2.0), (2.4, 1.0, 5.0), (2.6, 1.0, 10.0), (0.05, 0.1, 0.1)],
)
def test_headroom_is_twice_the_observed_value_rounded_up(observed, default, expected):
    assert headroom(observed, default) == expected
