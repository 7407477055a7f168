"""Kubernetes quantities, exactly."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opscheck.systems.kubernetes.quantities import doubled, parse_quantity


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("2", 2),
        ("250m", Fraction(1, 4)),
        ("912450000n", Fraction(91245, 100000)),
        ("1500000u", Fraction(3, 2)),
        ("1k", 1000),
        ("1M", 10**6),
        ("3G", 3 * 10**9),
        ("1T", 10**12),
        ("1P", 10**15),
        ("1E", 10**18),
        ("1Ki", 1024),
        ("512Mi", 512 * 2**20),
        ("16393244Ki", 16393244 * 1024),
        ("1.5Gi", 3 * 2**29),
        ("1Ti", 2**40),
        ("1Pi", 2**50),
        ("1Ei", 2**60),
        ("1e3", 1000),
        ("1E3", 1000),
        ("12e-1", Fraction(6, 5)),
        (".5", Fraction(1, 2)),
        ("5.", 5),
        ("-1", -1),
        ("+1", 1),
        ("9223372036854775807", 9223372036854775807),
    ],
)
def test_a_quantity_is_read_without_rounding(text, number):
    assert number == parse_quantity(text)


@pytest.mark.parametrize("text", ["", "m", "1K", "1ki", "1mi", "1 Gi", "1Gib", "0x10", "1e999", "1,5", "nan", "1" * 65])
def test_what_is_no_quantity_is_an_error(text):
    with pytest.raises(ValueError, match="is no quantity"):
        parse_quantity(text)


@given(st.integers(0, 10**15), st.sampled_from(["", "m", "k", "M", "Ki", "Mi", "Gi"]))
def test_a_doubled_quantity_is_twice_as_much(number, unit):
    assert 2 * parse_quantity(f"{number}{unit}") == parse_quantity(doubled(f"{number}{unit}"))


def test_a_doubled_quantity_keeps_its_unit():
    assert "1024Mi" == doubled("512Mi")
    assert "3Gi" == doubled("1.5Gi")
    assert doubled("lots") is None
