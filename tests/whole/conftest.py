"""The demo's real servers, up once for all tests of this folder."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from opscheck.demo.environment import Environment
from opscheck.suite import bundled

DAILY = bundled("policies") / "daily.yaml"


@dataclass(frozen=True)
class Outcome:
    """What one command left behind."""

    ret: int
    out: str
    run: dict[str, Any]

    @property
    def verdicts(self) -> dict[str, str]:
        """Verdict by id."""
        return {result["id"]: result["verdict"] for result in self.run["results"]}


class System:
    """The servers, and opscheck run against them in a process of its own."""

    def __init__(self, environment: Environment, folder: Path) -> None:
        self.environment = environment
        self.folder = folder

    def judge(self, *options: str, policy: Path = DAILY, **variables: str) -> Outcome:
        """`opscheck run` on the daily policy."""
        return self._started(["-m", "opscheck", "run", "-p", str(policy), "--json", "run.json", *options], variables)

    def pytest(self, *options: str, **variables: str) -> Outcome:
        """The same as plain pytest."""
        words = ["-m", "pytest", str(bundled("checks")), f"--policy={DAILY}", "--run-json=run.json", *options]
        return self._started(words, variables)

    def _started(self, words: list[str], variables: dict[str, str]) -> Outcome:
        record = self.folder / "run.json"
        record.unlink(missing_ok=True)
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env={**os.environ, **self.environment.variables, **variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        written = json.loads(record.read_text()) if record.exists() else {}
        return Outcome(done.returncode, done.stdout + done.stderr, written)


@pytest.fixture(name="environment", scope="session")
def _environment() -> Iterator[Environment]:
    with Environment(lambda line: None) as environment:
        yield environment


@pytest.fixture(name="system")
def _system(environment: Environment, tmp_path: Path) -> System:
    return System(environment, tmp_path)
