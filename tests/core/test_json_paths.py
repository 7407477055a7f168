"""JMESPath in policies, and the mistakes in it that would be silent."""

import pytest
from pydantic import TypeAdapter, ValidationError

from opscheck.core.json_paths import JsonPath, find

PATH = TypeAdapter(JsonPath)


def refused(expression: str) -> str:
    with pytest.raises(ValidationError) as raised:
        PATH.validate_python(expression)
    return raised.value.errors()[0]["msg"]


@pytest.mark.parametrize(
    "expression",
    [
        "status",
        'data."queue-depth"',
        "items[0].name",
        "length(jobs[?state=='failed'])",
        'jobs[?"exit-code" != `0`] | length(@)',
        "a || b",
        "max([a, b])",
        "merge(a, b, c)",
    ],
)
def test_paths_to_values_are_kept(expression):
    assert expression == PATH.validate_python(expression)


@pytest.mark.parametrize("expression", ["a-b", "a.", "a[", "'", "a b", ""])
def test_invalid_expression_is_rejected_in_one_line(expression):
    text = refused(expression)

    assert "a JMESPath expression, such as data.items[0].status" in text
    assert 'a name with a dash is quoted: data."queue-depth"' in text
    assert "\n" not in text


@pytest.mark.parametrize("expression", ['status == "ok"', "status == 'ok'", "depth < `20`", "missing == null"])
def test_a_comparison_is_refused(expression):
    """It gives false for a text in double quotes, true for a field that is missing, and TypeErrors for texts."""
    assert "the comparison is a key of its own, such as {path: status, equals: ok}" in refused(expression)


def test_double_quotes_are_rejected_because_they_name_a_field():
    assert "'failed' in single quotes" in refused('length(jobs[?state == "failed"])')


def test_functions_are_known_before_the_run():
    assert "len() is none" in refused("len(jobs)")
    assert "did you mean length()?" in refused("lenght(jobs)")
    assert "length() with 1 argument(s), not 2" in refused("length(a, b)")


def test_missing_and_null_values_are_not_found():
    assert find({"a": {"b": 1}}, "a.c") is None
    assert find({"a": None}, "a") is None


@pytest.mark.parametrize("path", ["length(a)", "sum(a)", "items[?n < `20`]"])
def test_a_function_that_meets_the_wrong_value_is_an_error_in_one_line(path):
    with pytest.raises(ValueError, match=r"\A.+\Z"):
        find({"a": 1, "items": [{"n": "12"}]}, path)
