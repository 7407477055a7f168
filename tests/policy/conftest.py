"""What the tests of the policy language share."""

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from opscheck.policy.draft import read_policy
from opscheck.policy.errors import PolicyError
from opscheck.policy.models import Policy

TODAY = date(2026, 3, 1)

Load = Callable[..., Policy]
Refusal = Callable[..., str]
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a file in the folder that the test runs in, and return its name."""
    monkeypatch.chdir(tmp_path)

    def write(text: str, name: str = "policy.yaml") -> Path:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        return path

    return write


@pytest.fixture
def load(write: Write) -> Load:
    """The policy that a text says."""

    def load(text: str, environ: Mapping[str, str] | None = None, today: date = TODAY, **options: Any) -> Policy:
        return read_policy(write(text), environ=environ or {}, **options).finish(today=today)

    return load


@pytest.fixture
def refusal(load: Load) -> Refusal:
    """What is said of a policy that is wrong."""

    def refusal(text: str, environ: Mapping[str, str] | None = None, **options: Any) -> str:
        with pytest.raises(PolicyError) as error:
            load(text, environ, **options)
        return str(error.value)

    return refusal
