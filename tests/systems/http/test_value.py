"""Limits on numbers that policies may set for HTTP APIs."""

import pytest
from pydantic import ValidationError

from opscheck import HttpTarget
from opscheck.core.observation import Problem, ProblemKind
from opscheck.core.templates import malformed, unknown_names
from opscheck.systems.http.value import HttpValue
from opscheck.testing import expect

API = HttpTarget(kind="http", base_url="https://ops:geheim@api.example.com/")


def value(**fields) -> HttpValue:
    return expect(HttpValue, API, **{"value": "n", "at_most": {"P1": 5}} | fields)


def test_a_value_without_a_limit_could_never_fail():
    with pytest.raises(ValidationError, match=r"at least one limit \(at_most, at_least\)"):
        expect(HttpValue, API, severity="P0", value="n")


@pytest.mark.parametrize("limit", [True, float("inf"), {"P1": float("nan")}, "many"])
def test_a_limit_is_a_number(limit):
    with pytest.raises(ValidationError) as raised:
        value(severity="P0", at_most=limit)
    assert "at_most" == raised.value.errors()[0]["loc"][0]


def test_outage_leaves_the_number_unknown():
    assert value().no_answer(Problem(kind=ProblemKind.UNREACHABLE, text="")) is None


@pytest.mark.parametrize("command", [command for remedy in HttpValue.remedies for command in remedy.commands])
def test_commands_are_well_formed_and_name_known_facts(command):
    assert [] == malformed(command)
    assert [] == unknown_names(command, value())
