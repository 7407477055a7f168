"""So many tests that do nothing but compare two numbers."""
# ruff: noqa: S101 - pytest tests assert

import os

import pytest

COUNT = int(os.environ["BENCH_COUNT"])


@pytest.mark.parametrize("number", range(COUNT))
def test_nothing(number: int) -> None:
    assert number < COUNT
