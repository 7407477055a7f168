"""What a policy may say of PostgreSQL, and what it may not."""

import pytest
from pydantic import ValidationError

from opscheck import PostgresTarget, Severity
from opscheck.core.observation import Problem, ProblemKind
from opscheck.systems.postgres.connections import PostgresConnections, Sessions
from opscheck.testing import expect

TARGET = PostgresTarget(kind="postgres", dsn="postgresql://someone@127.0.0.1/shop")


def connections(**fields) -> PostgresConnections:
    return expect(PostgresConnections, TARGET, **fields)


def test_a_limit_is_needed():
    with pytest.raises(ValidationError, match=r"at least one limit \(used, free, walsenders\)"):
        connections(severity="P1")


@pytest.mark.parametrize("limit", ["100%", {"P2": "75%", "P0": "100%"}])
def test_a_share_that_cannot_be_exceeded_is_no_limit(limit):
    with pytest.raises(ValidationError, match="a percentage below 100%"):
        connections(used=limit, severity="P1")


@pytest.mark.parametrize("limit", [0, {"P2": 5, "P0": 0}])
def test_a_number_that_cannot_be_undercut_is_no_limit(limit):
    with pytest.raises(ValidationError, match="more than 0"):
        connections(free=limit, severity="P1")


def test_expectations_about_the_same_server_ask_the_same_question():
    first, second = connections(used={"P0": "90%"}), connections(free={"P1": 2})

    assert (Sessions("target"),) == first.queries() == second.queries()


def test_the_right_that_it_needs_is_named():
    (query,) = connections(used={"P0": "90%"}).queries()

    (grant,) = query.permissions()

    assert "GRANT pg_read_all_stats: what the sessions of other roles do is hidden without it" == grant.text()


@pytest.mark.parametrize(
    ("kind", "severity"),
    [(ProblemKind.UNREACHABLE, Severity.P0), (ProblemKind.LATE, None), (ProblemKind.DENIED, None)],
)
def test_only_a_server_that_is_not_there_proves_that_clients_cannot_connect(kind, severity):
    problem = Problem(kind=kind, text="")

    assert severity == connections(used={"P2": "75%", "P0": "90%"}).no_answer(problem)
