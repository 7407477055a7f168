"""How many findings of one kind are told, and where psql can connect to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opscheck import Graded, Severity
from opscheck.systems.postgres.databases import connectable
from opscheck.systems.postgres.readings.facts import MOST, Number, Trouble, bounded

LIMIT = Graded(steps=((Severity.P3, 10), (Severity.P2, 100)))


def numbers(*observed: float) -> list[Number]:
    return [Number(name="n", observed=one, limit=LIMIT, subject=str(index)) for index, one in enumerate(observed)]


def told(observed: list[float], total: int) -> list[Number | Trouble]:
    return list(bounded(numbers(*observed), LIMIT, total, "database shop", "tables"))


def test_where_nothing_is_wrong_the_worst_number_is_told_for_its_measurement():
    assert numbers(9) == told([9, 8, 7], 3)


def test_where_something_is_wrong_only_that_is_told():
    assert numbers(12, 11) == told([12, 11, 7], 3)


def test_without_a_limit_nothing_is_told():
    assert [] == list(bounded(numbers(9), None, 1, "database shop", "tables"))


def test_the_others_are_counted_at_the_severity_of_the_first_of_them():
    *first, rest = told([200.0] * (MOST + 1) + [50.0] * 2 + [1.0], MOST + 4)

    assert MOST == len(first)
    assert rest == Trouble(subject="database shop", observed="3 more tables", expected="none", severity=Severity.P2)


def test_there_are_at_least_so_many_more_when_all_that_are_known_are_wrong():
    assert "at least 980 more tables" == told([50.0] * (MOST + 5), 1000)[-1].observed


@given(st.lists(st.floats(0, 1000)), st.integers(0, 10_000))
def test_nothing_that_is_wrong_is_lost(observed, more):
    observed = sorted(observed, reverse=True)
    wrong = [one for one in observed if one > 10]
    found = [one for one in told(observed, len(observed) + more) if isinstance(one, Trouble) or one.observed > 10]

    assert bool(wrong) == bool(found)
    assert len(found) <= MOST + 1


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("shop", True), ('od d "x"', True), ("", False), ("host=evil", False), ("postgresql://evil/shop", False)],
)
def test_what_psql_takes_for_a_connection_string_is_no_name_to_it(name, is_one):
    assert is_one == connectable(name)
