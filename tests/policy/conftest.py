"""What the tests of the policy language share."""

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from textwrap import dedent

import pytest

from opscheck.core.expectation import Expectation
from opscheck.core.target import Target
from opscheck.policy.draft import read_policy
from opscheck.policy.errors import PolicyError
from opscheck.policy.kinds import import_bundled
from opscheck.policy.models import Policy

TODAY = date(2026, 3, 1)

Load = Callable[..., Policy]
Refusal = Callable[..., str]
Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def only_bundled_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors list the known checks; those that other tests define are not for here."""
    import_bundled()
    for base in (Expectation, Target):
        bundled = {name: kind for name, kind in base.kinds.items() if kind.__module__.startswith("opscheck.")}
        monkeypatch.setattr(base, "kinds", bundled)


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

    def load(text: str, environ: Mapping[str, str] | None = None, today: date = TODAY, **options: bool) -> Policy:
        return read_policy(write(text), environ=environ or {}, **options).finish(today=today)

    return load


@pytest.fixture
def refusal(load: Load) -> Refusal:
    """What is said of a policy that is wrong."""

    def refusal(text: str, environ: Mapping[str, str] | None = None, **options: bool) -> str:
        with pytest.raises(PolicyError) as error:
            load(text, environ, **options)
        return str(error.value)

    return refusal
