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


def test_a_worse_severity_reaches_a_milder_gate_and_not_the_other_way_round():
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
def test_a_duration_is_written_with_its_unit(text, seconds):
    assert seconds == read(Duration, text)


@pytest.mark.parametrize(
    "value", [5, 5.0, "5", "", "s", "5 s", "5S", "-5s", "1h 30m", "5s!", True, None, ["5s"]], ids=repr
)
def test_what_is_no_duration_is_answered_with_the_units(value):
    assert "(ms, s, m, h, d, w)" in refusal(Duration, value)


def test_a_duration_without_end_is_refused_for_every_wait_ends():
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
def test_a_duration_that_was_shown_can_be_read_again(seconds):
    again = Duration.parse(format_duration(seconds))

    assert math.isclose(seconds, again, rel_tol=0.05)


@given(st.integers(1, 999), st.sampled_from(["ms", "s", "m", "h", "d"]))
def test_a_duration_in_one_unit_is_not_changed_by_showing_it(number, unit):
    duration = Duration.parse(f"{number}{unit}")

    assert duration == Duration.parse(str(duration))


# -- percentages and byte sizes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "percent"), [("75%", 75), ("99.95%", 99.95), ("0%", 0)])
def test_a_percentage_is_written_with_its_sign(text, percent):
    assert percent == read(Percentage, text)


@pytest.mark.parametrize("value", [75, 0.75, "75", "75 %", "-1%", "%", "75%%", True, None], ids=repr)
def test_what_is_no_percentage_is_answered_with_one(value):
    assert refusal(Percentage, value) == "a percentage such as 75%"


@pytest.mark.parametrize(
    ("text", "size"),
    [("512B", 512), ("20KB", 20_000), ("20kB", 20_000), ("1.5GB", 1_500_000_000), ("512MiB", 2**29), ("1TiB", 2**40)],
)
def test_a_byte_size_tells_powers_of_ten_from_powers_of_two(text, size):
    assert size == read(ByteSize, text)


@pytest.mark.parametrize("value", [20, "20", "20G", "20Gi", "20 GB", "20gb", "-1GB", True, None], ids=repr)
def test_what_is_no_byte_size_is_answered_with_the_units(value):
    assert "(B, KB, MB, GB, TB, KiB, MiB, GiB, TiB)" in refusal(ByteSize, value)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (999, "999B"), (1500, "1.5KB"), (999_900_000_000, "1000GB"), (10**16, "10000TB"), (2**29, "537MB")],
)
def test_bytes_are_shown_in_powers_of_ten(size, text):
    assert text == format_bytes(size)


@given(st.floats(min_value=0.01, max_value=1_000_000))
def test_a_percentage_that_was_shown_can_be_read_again(percent):
    again = Percentage.parse(str(Percentage(percent)))

    assert math.isclose(percent, again, rel_tol=0.01)


@given(st.integers(min_value=1, max_value=10**18))
def test_a_byte_size_that_was_shown_can_be_read_again(size):
    again = ByteSize.parse(str(ByteSize(size)))

    assert math.isclose(size, again, rel_tol=0.01)


@given(st.text())
def test_any_text_is_a_quantity_or_refused(text):
    for kind in (Duration, Percentage, ByteSize):
        try:
            quantity = kind.parse(text)
        except ValueError:
            continue

        assert math.isfinite(quantity)


# -- counts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [5, 5.0, "5"], ids=repr)
def test_a_count_may_come_from_a_variable_as_text(value):
    assert read(Count, value) == 5


@pytest.mark.parametrize("value", [True, 5.5, -1, "five", "5%", None], ids=repr)
def test_what_is_no_count_is_refused(value):
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
def test_a_graded_limit_is_as_large_as_a_number_may_be(observed, severity):
    limit = read(Graded[Percentage], CONNECTIONS)

    assert severity == limit.severity(observed)


@pytest.mark.parametrize(("days", "severity"), [(30, None), (29, P3), (7, P3), (6, P1), (0, P0)])
def test_a_graded_minimum_is_as_small_as_a_number_may_be(days, severity):
    limit = read(GradedMinimum[Duration], {"P3": "30d", "P1": "7d", "P0": "1d"})

    assert severity == limit.severity(days * 86_400)


@pytest.mark.parametrize(("observed", "limit", "margin"), [(40, 75, 35), (80, 75, -5), (95, 90, -5)])
def test_the_limit_beside_a_number_is_the_worst_it_breaks_or_the_first_it_would(observed, limit, margin):
    graded = read(Graded[Percentage], CONNECTIONS)

    assert (limit, margin) == (graded.limit(observed), graded.margin(observed))


def test_the_margin_to_a_minimum_shrinks_with_the_number():
    limit = read(GradedMinimum[Count], {"P2": 5, "P1": 2})

    assert (3, -1, -2) == (limit.margin(8), limit.margin(4), limit.margin(0))


def test_a_plain_limit_takes_the_severity_of_its_expectation():
    limit = read(Graded[Percentage], "75%").with_severity(P1)

    assert read(Graded[Percentage], {"P1": "75%"}) == limit
    assert limit.severity(80) is P1


def test_the_order_in_the_file_means_nothing():
    assert read(Graded[Percentage], {"P0": "90%", "P2": "75%"}) == read(Graded[Percentage], CONNECTIONS)


@pytest.mark.parametrize(
    ("kind", "steps", "words"),
    [
        (Graded[Percentage], {"P2": "90%", "P0": "75%"}, "P0 (75%) must be larger than P2 (90%)"),
        (Graded[Percentage], {"P2": "75%", "P0": "75%"}, "P0 (75%) must be larger than P2 (75%)"),
        (GradedMinimum[Duration], {"P3": "7d", "P1": "30d"}, "P1 (30d) must be smaller than P3 (7d)"),
    ],
)
def test_a_limit_that_a_graver_one_hides_is_refused(kind, steps, words):
    assert words in refusal(kind, steps)


def test_a_limit_without_any_step_is_refused():
    assert refusal(Graded[Percentage], {}) == "a limit for at least one severity, such as {P2: 10}"


@pytest.mark.parametrize("value", [math.nan, math.inf, {"P1": math.nan}, {"P2": 1.0, "P1": math.inf}, "nan"], ids=repr)
def test_a_limit_that_nothing_breaks_is_refused(value):
    assert refusal(Graded[float], value) == "a finite number"


def test_a_limit_that_no_float_can_hold_is_refused():
    assert refusal(Graded[int], {"P1": 10**400}) == "a finite number"


def test_a_limit_reads_as_a_sentence():
    assert str(read(Graded[Percentage], CONNECTIONS)) == "P2 <= 75%, P0 <= 90%"
    assert str(read(GradedMinimum[Count], {"P1": 2})) == "P1 >= 2"


@given(st.dictionaries(st.sampled_from(["P0", "P1", "P2", "P3"]), st.floats(0, 1000), min_size=1), st.floats(-10, 2000))
def test_a_number_that_breaks_a_graver_step_never_gets_a_milder_severity(steps, observed):
    try:
        limit = read(Graded[float], steps)
    except ValidationError:
        return
    broken = [Severity(severity) for severity, value in steps.items() if observed > value]

    assert worst(broken) == limit.severity(observed)


def test_a_timeout_of_nothing_is_refused_as_nothing_is_answered_in_no_time():
    with pytest.raises(ValidationError, match="a duration longer than nothing"):
        TypeAdapter(Timeout).validate_python("0s")

    assert 0.001 == TypeAdapter(Timeout).validate_python("1ms")
