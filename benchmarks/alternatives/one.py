"""The smallest test there is."""
# ruff: noqa: S101 - pytest tests assert


def test_one() -> None:
    assert 1 + 1 == 2
