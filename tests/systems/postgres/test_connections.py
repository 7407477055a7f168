"""Valid and invalid expectations about connections."""

import pytest
from pydantic import ValidationError

from opscheck import PostgresTarget, Severity
from opscheck.core.observation import Problem, ProblemKind
from opscheck.systems.postgres.connections import PostgresConnections, Sessions
from opscheck.testing import expect

TARGET = PostgresTarget(kind="postgres", dsn="postgresql://someone@127.0.0.1/shop")


def connections(**fields) -> PostgresConnections:
    return expect(PostgresConnections, TARGET, **fields)


def test_limit_is_required():
    with pytest.raises(ValidationError, match=r"at least one limit \(used, free, walsenders\)"):
        connections(severity="P1")


@pytest.mark.parametrize("limit", ["100%", {"P2": "75%", "P0": "100%"}])
def test_share_of_100_percent_is_rejected(limit):
    with pytest.raises(ValidationError, match="a percentage below 100%"):
        connections(used=limit, severity="P1")


@pytest.mark.parametrize("limit", [0, {"P2": 5, "P0": 0}])
def test_minimum_of_zero_is_rejected(limit):
    with pytest.raises(ValidationError, match="more than 0"):
        connections(free=limit, severity="P1")


def test_expectations_of_one_server_share_the_query():
    first, second = connections(used={"P0": "90%"}), connections(free={"P1": 2})

    assert (Sessions("target"),) == first.queries() == second.queries()


def test_required_right_is_listed():
    (query,) = connections(used={"P0": "90%"}).queries()

    (grant,) = query.permissions()

    assert "GRANT pg_read_all_stats: the activity of other roles is hidden without it" == grant.text()


@pytest.mark.parametrize(
    ("kind", "severity"),
    [(ProblemKind.UNREACHABLE, Severity.P0), (ProblemKind.LATE, None), (ProblemKind.DENIED, None)],
)
def test_only_unreachable_server_is_violated(kind, severity):
    problem = Problem(kind=kind, text="")

    assert severity == connections(used={"P2": "75%", "P0": "90%"}).no_answer(problem)
