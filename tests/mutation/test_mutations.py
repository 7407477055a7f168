import ast

import pytest

from tests.mutation.__main__ import ROOT, draw, id_of_test
from tests.mutation.mutations import find_mutations


def mutants_of(source: str) -> set[str]:
    return {one.apply(source.encode()).decode() for one in find_mutations(source.encode())}


@pytest.mark.parametrize(
    ("source", "mutants"),
    [
        ("a < b", {"a <= b"}),
        ("(a) <= (b)", {"(a) < (b)"}),
        ("a is not None", {"a is None"}),
        ("a not in b", {"a in b"}),
        ("a and b and c", {"a or b and c", "a and b or c"}),
        ("x = not a", {"x = a"}),
        ("x = a + 'é'", set()),
        ("x = 'é' * a - b", {"x = 'é' * a + b"}),
        ("x = True", {"x = False"}),
        ("x = 2", {"x = 3"}),
        ("x = min(a)", {"x = max(a)"}),
        ("x = f(a=1, b=c)", {"x = f( b=c)", "x = f(a=1, )", "x = f(a=2, b=c)"}),
        ("x = f(detail='a')", set()),
        ("x = [a for a in b if a.c]", {"x = [a for a in b if True]"}),
        ("x = a if b else c", {"x = a if (not (b)) else c"}),
        ("def f():\n    return a", {"def f():\n    return None"}),
        ("def f():\n    yield a", {"def f():\n    (yield from ())"}),
        ("def f(a: int = 1) -> None:\n    '''Text.'''\n    raise E", {
            "def f(a: int = 2) -> None:\n    '''Text.'''\n    raise E",
            "def f(a: int = 1) -> None:\n    '''Text.'''\n    pass",
        }),
        ("x: Literal[1] = f'{a < b}'", set()),
        ("__all__ = [1]", set()),
    ],
)  # fmt: skip
def test_each_operator_has_its_mutants(source, mutants):
    without_statement = mutants_of(source) - {"pass"}

    assert without_statement == mutants


def test_every_mutant_of_the_judging_code_is_valid_python():
    for mutant in draw(1, 300, ["opscheck/policy"]):
        ast.parse(mutant.mutation.apply((ROOT / mutant.path).read_bytes()))


def test_same_seed_draws_the_same_sample():
    assert draw(7, 20, ["checks/redis"]) == draw(7, 20, ["checks/redis"])
    assert draw(7, 20, ["checks/redis"]) != draw(8, 20, ["checks/redis"])


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ("tests.core.test_units.test_ratio", "tests/core/test_units.py::test_ratio"),
        ("tests.core.test_units.TestRatio.test_half", "tests/core/test_units.py::TestRatio::test_half"),
    ],
)
def test_context_of_coverage_is_the_id_of_its_test(context, expected):
    assert id_of_test(context) == expected
