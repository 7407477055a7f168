"""http.response: comparing a response with the expected values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from checks.http.test_response import described, same, sample_at, unexpected_value
from checks.http.test_response import test_the_api_answers_as_it_should as check
from opscheck import HttpTarget
from opscheck.systems.http.answer import UnexpectedBodyError, decode, is_number, number_at
from opscheck.systems.http.request import HttpAnswer, Sample
from opscheck.systems.http.response import HttpResponse, JsonExpectation, LatencyOf
from opscheck.testing import expect, judge

API = HttpTarget(kind="http", base_url="http://api.example.com")
OK = Sample(seconds=0.1, status=200)
RULE = TypeAdapter(JsonExpectation)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


def answering(body: str, **headers: str) -> HttpAnswer:
    return HttpAnswer(url="u", final_url="u", status=200, headers=headers, body=body, samples=(OK,))


def fault(document: object, **rule: object) -> str | None:
    return unexpected_value(document, RULE.validate_python({"path": "v", **rule}))


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("ok", {"equals": "ok"}),
        (12, {"equals": 12}),
        (12.0, {"equals": 12}),
        (False, {"equals": False}),
        (0, {"equals": 0}),
        ([1, {"a": True}], {"equals": [1, {"a": True}]}),
        ("ok", {"not_equals": "down"}),
        (1, {"not_equals": True}),
        ("b", {"one_of": ["a", "b"]}),
        (5, {"at_least": 5}),
        (5, {"at_most": 5}),
        (-0.5, {"at_most": 0}),
        ("all is well", {"contains": "well"}),
        ([1, "db"], {"contains": "db"}),
        ("v2.14", {"matches": r"^v2\."}),
        (False, {"exists": True}),
        (None, {"exists": False}),
    ],
    ids=str,
)
def test_a_value_that_fits(value, rule):
    assert fault({"v": value}, **rule) is None


@pytest.mark.parametrize(
    ("value", "rule", "text"),
    [
        ("12", {"equals": 12}, 'v is "12"'),
        (12, {"equals": "12"}, "v is 12"),
        (True, {"equals": 1}, "v is true"),
        (0, {"equals": False}, "v is 0"),
        ([1, True], {"equals": [1, 1]}, "v is [1,true]"),
        ({"a": 1}, {"equals": {"a": 1, "b": 2}}, 'v is {"a":1}'),
        ("ok", {"not_equals": "ok"}, 'v is "ok"'),
        (True, {"one_of": [1, 2]}, "v is true"),
        (4, {"at_least": 5}, "v is 4"),
        (6, {"at_most": 5}, "v is 6"),
        ("4", {"at_most": 5}, 'v is "4", not a number'),
        (True, {"at_most": 5}, "v is true, not a number"),
        ([4], {"at_most": 5}, "v is [4], not a number"),
        ("bad", {"contains": "well"}, 'v is "bad"'),
        ([1], {"contains": True}, "v is [1]"),
        (17, {"contains": "1"}, "v is 17, not a string"),
        ("17", {"contains": 1}, 'v is "17"'),
        (17, {"matches": "1"}, "v is 17, not a string"),
        ("x", {"exists": False}, 'v is "x"'),
        (None, {"exists": True}, "v is missing or null"),
        (None, {"equals": "ok"}, "path not found: v"),
        (None, {"not_equals": "ok"}, "path not found: v"),
        (None, {"at_most": 5}, "path not found: v"),
    ],
    ids=str,
)
def test_unexpected_value_is_shown_with_its_type(value, rule, text):
    assert text == fault({"v": value}, **rule)


def test_expected_text_matches_the_policy():
    expectation = expect(HttpResponse, API, severity="P1", json=[{"path": "a.b", "one_of": ["ok", "degraded"]}])
    (finding,) = judge(check, expectation, lambda _query: answering("{}")).violations

    assert 'a.b is one of ["ok","degraded"]' == finding.expected


def test_a_path_that_cannot_be_evaluated_is_a_mismatch():
    observed = unexpected_value({"v": 1}, RULE.validate_python({"path": "length(v)", "at_most": 3}))

    assert "length(v) cannot be read: In function length()" in observed


@given(JSON, JSON)
def test_no_value_is_too_odd_to_be_compared(one, other):
    assert same(one, one)
    assert same(one, other) is same(other, one)
    for operator in ("equals", "contains", "not_equals"):
        if other is not None:
            fault({"v": one}, **{operator: other})


@pytest.mark.parametrize("value", [0, -1, 1.5, 10**15])
def test_numbers(value):
    assert is_number(value)


@pytest.mark.parametrize("value", [True, "1", None, [], float("nan"), float("inf"), 10**400])
def test_other_values_are_not_numbers(value):
    assert not is_number(value)


def test_a_number_is_found_by_its_path():
    document = {"jobs": [{"state": "failed"}, {"state": "done"}], "text": "17"}

    assert 1.0 == number_at(document, "length(jobs[?state=='failed'])")
    with pytest.raises(UnexpectedBodyError, match="path not found: none"):
        number_at(document, "none")
    with pytest.raises(UnexpectedBodyError, match='text is "17", not a number'):
        number_at(document, "text")


def test_json_may_begin_with_a_byte_order_mark():
    assert {"a": 1} == decode(answering('\ufeff{"a": 1}'))


@pytest.mark.parametrize("body", ['{"a": NaN}', '{"a": Infinity}', "{'a': 1}", '{"a": 1', "[" * 100_000, "{} {}"])
def test_invalid_json_is_refused(body):
    """NaN is neither above nor below a limit, so that every limit would be kept."""
    with pytest.raises(UnexpectedBodyError):
        decode(answering(body))


def test_body_without_json_is_quoted_with_its_type():
    with pytest.raises(UnexpectedBodyError) as raised:
        decode(answering("<html>\n  <h1>Log in</h1>", **{"content-type": "text/html"}))

    assert "body (text/html) is not JSON: it begins with <html> <h1>Log in</h1>" == str(raised.value)


def test_empty_or_compressed_body_is_described():
    with pytest.raises(UnexpectedBodyError, match="it is empty"):
        decode(answering("  "))
    with pytest.raises(UnexpectedBodyError, match="compressed with br, is not JSON"):
        decode(answering("\x1b", **{"content-encoding": "br"}))


def samples(*seconds: float | None) -> tuple[Sample, ...]:
    return tuple(Sample(seconds=9.9 if one is None else one, status=None if one is None else 200) for one in seconds)


@pytest.mark.parametrize(
    ("which", "seconds"),
    [(LatencyOf.FIRST, 0.3), (LatencyOf.MEDIAN, 0.3), (LatencyOf.MAX, 0.4), (LatencyOf.P95, 0.4)],
)
def test_latency_uses_the_selected_sample(which, seconds):
    assert seconds == sample_at(samples(0.3, 0.1, 0.4, 0.2), which).seconds


def test_the_p95_of_twenty_leaves_out_the_slowest():
    assert 19 == sample_at(samples(*range(1, 21)), LatencyOf.P95).seconds


def test_a_sample_without_an_answer_is_slower_than_any_other():
    taken = samples(0.1, None, 60)

    assert sample_at(taken, LatencyOf.MAX).status is None
    assert 60 == sample_at(taken, LatencyOf.MEDIAN).seconds
    assert sample_at(samples(None, None, 0.1), LatencyOf.MEDIAN).status is None


def test_latency_describes_its_samples():
    cold = Sample(seconds=0.5, status=200, cold=True)

    assert "on a new connection" == described((cold,), LatencyOf.FIRST)
    assert "median of 2, 1 on a new connection, slowest 500ms" == described(
        (cold, Sample(seconds=0.1, status=200)), LatencyOf.MEDIAN
    )
