"""The quantities of the policy language: what may be written, what it means, and how it is shown."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from opscheck.core.units import (
    ByteSize,
    Count,
    Duration,
    Graded,
    GradedMinimum,
    Percentage,
    Severity,
    Timeout,
    format_bytes,
    format_duration,
    format_value,
    worst,
)

P0, P1, P2, P3 = Severity


def read(kind, value):
    """`value` as YAML gives it, as a field of type `kind`."""
    return TypeAdapter(kind).validate_python(value)


def refusal(kind, value):
    """What is asked for instead of `value`."""
    with pytest.raises(ValidationError) as error:
        read(kind, value)
    return error.value.errors()[0]["msg"]


# -- severities ------------------------------------------------------------------------------------------------------


def test_higher_severity_reaches_a_lower_gate_only():
    assert P0.reaches(P1)
    assert P1.reaches(P1)
    assert not P2.reaches(P1)


def test_p0_is_the_worst():
    assert P0 is worst([P2, P0, P3])
    assert worst([]) is None


# -- durations -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("90s", 90),
        ("15m", 900),
        ("1h30m", 5400),
        ("24h", 86_400),
        ("30d", 2_592_000),
        ("2w", 1_209_600),
        ("0.5h", 1800),
        (" 5s ", 5),
    ],
)
def test_duration_needs_its_unit(text, seconds):
    assert seconds == read(Duration, text)


@pytest.mark.parametrize(
    "value", [5, 5.0, "5", "", "s", "5 s", "5S", "-5s", "1h 30m", "5s!", True, None, ["5s"]], ids=repr
)
def test_invalid_duration_error_lists_the_units(value):
    assert "(ms, s, m, h, d, w)" in refusal(Duration, value)


def test_infinite_duration_is_rejected():
    assert "such as 15m" in refusal(Duration, "9" * 400 + "d")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (1e-9, "0s"),
        (0.00025, "0.25ms"),
        (0.25, "250ms"),
        (0.9994, "999ms"),
        (0.9999, "1s"),
        (5, "5s"),
        (90, "1m30s"),
        (5400, "1h30m"),
        (86_400, "1d"),
        (90_061, "1d1h"),
        (86_457, "1d"),
        (3_601, "1h"),
        (-30, "-30s"),
        (math.inf, "endless"),
    ],
)
def test_duration_has_at_most_two_adjacent_units(seconds, text):
    assert text == format_duration(seconds)


@given(st.floats(min_value=0.001, max_value=10 * 365 * 86_400))
def test_shown_duration_can_be_parsed(seconds):
    again = Duration.parse(format_duration(seconds))

    assert math.isclose(seconds, again, rel_tol=0.05)


@given(st.integers(1, 999), st.sampled_from(["ms", "s", "m", "h", "d"]))
def test_duration_in_one_unit_round_trips(number, unit):
    duration = Duration.parse(f"{number}{unit}")

    assert duration == Duration.parse(str(duration))


# -- percentages and byte sizes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "percent"), [("75%", 75), ("99.95%", 99.95), ("0%", 0)])
def test_percentage_needs_its_sign(text, percent):
    assert percent == read(Percentage, text)


@pytest.mark.parametrize("value", [75, 0.75, "75", "75 %", "-1%", "%", "75%%", True, None], ids=repr)
def test_invalid_percentage_error_shows_an_example(value):
    assert refusal(Percentage, value) == "a percentage such as 75%"


@pytest.mark.parametrize(
    ("text", "size"),
    [("512B", 512), ("20KB", 20_000), ("20kB", 20_000), ("1.5GB", 1_500_000_000), ("512MiB", 2**29), ("1TiB", 2**40)],
)
def test_byte_size_distinguishes_kb_and_kib(text, size):
    assert size == read(ByteSize, text)


@pytest.mark.parametrize("value", [20, "20", "20G", "20Gi", "20 GB", "20gb", "-1GB", True, None], ids=repr)
def test_invalid_byte_size_error_lists_the_units(value):
    assert "(B, KB, MB, GB, TB, KiB, MiB, GiB, TiB)" in refusal(ByteSize, value)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (999, "999B"), (1500, "1.5KB"), (999_900_000_000, "1000GB"), (10**16, "10000TB"), (2**29, "537MB")],
)
def test_bytes_are_shown_in_powers_of_ten(size, text):
    assert text == format_bytes(size)


@given(st.floats(min_value=0.01, max_value=1_000_000))
def test_shown_percentage_can_be_parsed(percent):
    again = Percentage.parse(str(Percentage(percent)))

    assert math.isclose(percent, again, rel_tol=0.01)


@given(st.integers(min_value=1, max_value=10**18))
def test_shown_byte_size_can_be_parsed(size):
    again = ByteSize.parse(str(ByteSize(size)))

    assert math.isclose(size, again, rel_tol=0.01)


@given(st.text())
def test_any_text_is_a_quantity_or_an_error(text):
    for kind in (Duration, Percentage, ByteSize):
        try:
            quantity = kind.parse(text)
        except ValueError:
            continue

        assert math.isfinite(quantity)


# -- counts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [5, 5.0, "5"], ids=repr)
def test_count_from_a_variable_may_be_text(value):
    assert read(Count, value) == 5


@pytest.mark.parametrize("value", [True, 5.5, -1, "five", "5%", None], ids=repr)
def test_invalid_count_is_rejected(value):
    with pytest.raises(ValidationError):
        read(Count, value)


# -- values as people read them --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (91.2, "%", "91.2%"),
        (12_345.6, "%", "12346%"),
        (0.25, "s", "250ms"),
        (3, "pods", "3 pods"),
        (3.0, "", "3"),
        (1_234_567.8, "", "1234568"),
        (2_000_000, "B", "2MB"),
        ("ready", "", "ready"),
    ],
)
def test_a_number_is_shown_in_its_unit(value, unit, text):
    assert text == format_value(value, unit)


# -- graded limits ---------------------------------------------------------------------------------------------------

CONNECTIONS = {"P2": "75%", "P0": "90%"}


@pytest.mark.parametrize(("observed", "severity"), [(75, None), (75.1, P2), (90, P2), (90.1, P0), (100, P0)])
def test_graded_limit_is_a_maximum(observed, severity):
    limit = read(Graded[Percentage], CONNECTIONS)

    assert severity == limit.severity(observed)


@pytest.mark.parametrize(("days", "severity"), [(30, None), (29, P3), (7, P3), (6, P1), (0, P0)])
def test_graded_minimum_is_a_minimum(days, severity):
    limit = read(GradedMinimum[Duration], {"P3": "30d", "P1": "7d", "P0": "1d"})

    assert severity == limit.severity(days * 86_400)


@pytest.mark.parametrize(("observed", "limit", "margin"), [(40, 75, 35), (80, 75, -5), (95, 90, -5)])
def test_shown_limit_is_the_worst_violated_or_the_first(observed, limit, margin):
    graded = read(Graded[Percentage], CONNECTIONS)

    assert (limit, margin) == (graded.limit(observed), graded.margin(observed))


def test_the_margin_to_a_minimum_shrinks_with_the_number():
    limit = read(GradedMinimum[Count], {"P2": 5, "P1": 2})

    assert (3, -1, -2) == (limit.margin(8), limit.margin(4), limit.margin(0))


def test_a_plain_limit_takes_the_severity_of_its_expectation():
    limit = read(Graded[Percentage], "75%").with_severity(P1)

    assert read(Graded[Percentage], {"P1": "75%"}) == limit
    assert limit.severity(80) is P1


def test_order_of_severities_in_the_file_is_irrelevant():
    assert read(Graded[Percentage], {"P0": "90%", "P2": "75%"}) == read(Graded[Percentage], CONNECTIONS)


@pytest.mark.parametrize(
    ("kind", "steps", "words"),
    [
        (Graded[Percentage], {"P2": "90%", "P0": "75%"}, "P0 (75%) must be larger than P2 (90%)"),
        (Graded[Percentage], {"P2": "75%", "P0": "75%"}, "P0 (75%) must be larger than P2 (75%)"),
        (GradedMinimum[Duration], {"P3": "7d", "P1": "30d"}, "P1 (30d) must be smaller than P3 (7d)"),
    ],
)
def test_limit_hidden_by_a_higher_severity_is_rejected(kind, steps, words):
    assert words in refusal(kind, steps)


def test_limit_without_steps_is_rejected():
    assert refusal(Graded[Percentage], {}) == "a limit for at least one severity, such as {P2: 10}"


@pytest.mark.parametrize("value", [math.nan, math.inf, {"P1": math.nan}, {"P2": 1.0, "P1": math.inf}, "nan"], ids=repr)
def test_infinite_limit_is_rejected(value):
    assert refusal(Graded[float], value) == "a finite number"


def test_limit_too_large_for_a_float_is_rejected():
    assert refusal(Graded[int], {"P1": 10**400}) == "a finite number"


def test_a_limit_reads_as_a_sentence():
    assert str(read(Graded[Percentage], CONNECTIONS)) == "P2 <= 75%, P0 <= 90%"
    assert str(read(GradedMinimum[Count], {"P1": 2})) == "P1 >= 2"


@given(st.dictionaries(st.sampled_from(["P0", "P1", "P2", "P3"]), st.floats(0, 1000), min_size=1), st.floats(-10, 2000))
def test_worst_violated_step_gives_the_severity(steps, observed):
    try:
        limit = read(Graded[float], steps)
    except ValidationError:
        return
    broken = [Severity(severity) for severity, value in steps.items() if observed > value]

    assert worst(broken) == limit.severity(observed)


def test_timeout_of_zero_is_rejected():
    with pytest.raises(ValidationError, match="a duration longer than 0s"):
        TypeAdapter(Timeout).validate_python("0s")

    assert 0.001 == TypeAdapter(Timeout).validate_python("1ms")
