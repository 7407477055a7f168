"""The demo's real servers, up once for all tests of this folder."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from opscheck.bundle import bundled
from opscheck.demo.environment import Environment
from tests.servers.interpreters import NEW, ForkServer, Interpreter, new

DAILY = bundled("policies") / "daily.yaml"
RECOVERY = bundled("policies") / "recovery.yaml"


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
    """The servers, and opscheck run against them in a process of its own, which knows of a restore drill."""

    def __init__(self, environment: Environment, folder: Path, drilled: Path, run: Interpreter) -> None:
        self.environment = environment
        self.folder = folder
        self._run = run
        self.state = Path(shutil.copy(drilled, folder))

    def judge(self, *options: str, policy: Path = DAILY, **variables: str) -> Outcome:
        """`opscheck run` on the daily policy."""
        state = () if "--from" in options else ("--state", self.state.name)
        words = ["opscheck", "run", "-p", str(policy), "--json", "run.json", *state, *options]
        return self._started(words, variables)

    def pytest(self, *options: str, **variables: str) -> Outcome:
        """The same as plain pytest."""
        records = ["--run-json=run.json", f"--state={self.state.name}"]
        return self._started(["pytest", str(bundled("checks")), f"--policy={DAILY}", *records, *options], variables)

    def _started(self, words: list[str], variables: dict[str, str]) -> Outcome:
        record = self.folder / "run.json"
        record.unlink(missing_ok=True)
        done = self._run(*words, cwd=self.folder, env={**os.environ, **self.environment.variables, **variables})
        written = json.loads(record.read_text()) if record.exists() else {}
        return Outcome(done.returncode, done.stdout + done.stderr, written)


@pytest.fixture(name="interpreter", scope="session", params=[NEW])
def _interpreter() -> Interpreter:
    """In new interpreters only, as users start them. Forked runs are faster, and prove nothing more."""
    return new


@pytest.fixture(name="environment", scope="session")
def _environment() -> Iterator[Environment]:
    with Environment(lambda line: None) as environment:
        yield environment


@pytest.fixture(name="drilled", scope="session")
def _drilled(environment: Environment, tmp_path_factory: pytest.TempPathFactory, fork_server: ForkServer) -> Path:
    """A state file in which there is a restore drill of the demo's own backup."""
    state = tmp_path_factory.mktemp("drilled") / "state.db"
    words = ["opscheck", "run", "-p", str(RECOVERY), "--drill", "--state", str(state)]
    done = fork_server(*words, cwd=state.parent, env={**os.environ, **environment.variables}, timeout=120)
    assert 0 == done.returncode, done.stdout + done.stderr
    return state


@pytest.fixture(name="system")
def _system(environment: Environment, tmp_path: Path, drilled: Path, interpreter: Interpreter) -> System:
    return System(environment, tmp_path, drilled, interpreter)


@pytest.fixture(name="system_of_processes")
def _system_of_processes(
    environment: Environment, tmp_path: Path, drilled: Path, new_interpreter: Interpreter
) -> System:
    """Only in new interpreters."""
    return System(environment, tmp_path, drilled, new_interpreter)
