"""The same HTTP checks as plain pytest tests with httpx: one after the other, over one kept connection."""
# ruff: noqa: S101 - pytest tests assert

import os
from collections.abc import Iterator

import httpx
import pytest

COUNT = int(os.environ["BENCH_COUNT"])


@pytest.fixture(scope="session")
def api() -> Iterator[httpx.Client]:
    with httpx.Client(base_url=os.environ["BENCH_URL"], timeout=5.0) as client:
        yield client


@pytest.mark.parametrize("number", range(COUNT))
def test_answers(api: httpx.Client, number: int) -> None:
    response = api.get(f"/items/{number}")

    assert response.status_code == 200
    assert response.json()["status"] == "ok"
