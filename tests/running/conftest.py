"""A small project with a policy and a team's own checks, run by a real pytest in a process of its own."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from tests.servers.interpreters import ForkServer, Interpreter, new

CHECKS = '''
"""Checks of a team's own."""

import os
from opscheck import Expectation, Findings, Graded, HttpTarget, Observe
from opscheck.systems.http.request import HttpRequest


class Level(Expectation, check="tank.level"):
    """The tank is not too full."""

    level: float
    """How full it is."""
    at_most: Graded[float]
    """How full it may be."""


class Door(Expectation, check="tank.door"):
    """The door is shut."""

    open: bool = False
    """Whether it is open."""


class Page(Expectation, check="tank.page"):
    """The page is there."""

    target: HttpTarget
    path: str = "/"
    """Where the page is."""

    def queries(self):
        """The page."""
        return [HttpRequest(target=self.target.name, path=self.path)]


def test_level_is_low(expectation: Level, findings: Findings) -> None:
    """
    The tank is not too full.

    A tank that is full runs over.
    """
    findings.grade("level", expectation.level, expectation.at_most, subject="tank", unit="m")


def test_door_is_shut(expectation: Door) -> None:
    """The door is shut."""
    password = os.environ.get("TANK_PASSWORD", "")
    assert not expectation.open, f"the door stands open, said {password}"


def test_page_is_there(expectation: Page, observe: Observe, findings: Findings) -> None:
    """The page is there."""
    answer = observe(HttpRequest(target=expectation.target.name, path=expectation.path))
    findings.measure("status", answer.status)
    if answer.status != 200:
        findings.add(subject=expectation.path, observed=f"status {answer.status}", expected="status 200")
'''

_OPTIONS = {"two-workers": ["-n2"], "no-xdist": ["-pno:xdist"]}
HEAD = "version: 1\nenvironment: test\n"


@dataclass
class Outcome:
    """What one run left behind."""

    ret: int
    out: str
    run: dict[str, Any]

    @property
    def verdicts(self) -> dict[str, str]:
        """Verdict by id."""
        return {result["id"]: result["verdict"] for result in self.run["results"]}

    def result(self, name: str) -> dict[str, Any]:
        """The result of one expectation."""
        (found,) = [result for result in self.run["results"] if result["id"] == name]
        return found


class Project:
    """A folder with checks and a policy."""

    def __init__(self, pytester: pytest.Pytester, run: Interpreter, arguments: Sequence[str] = ()) -> None:
        self._run = run
        self._arguments = arguments
        self.path: Path = pytester.path
        (self.path / "checks").mkdir()
        (self.path / "checks" / "test_tank.py").write_text(CHECKS)

    def policy(self, text: str) -> None:
        """Write the policy; `version` and `environment` are given."""
        (self.path / "policy.yaml").write_text(HEAD + dedent(text))

    def check(self, name: str, text: str) -> None:
        """Write one more module of checks."""
        (self.path / "checks" / name).write_text(dedent(text))

    def judge(self, *options: str, policy: str = "policy.yaml") -> Outcome:
        """Run pytest on the checks, in the manner this test is parametrised with."""
        record = self.path / "run.json"
        record.unlink(missing_ok=True)
        words = ["checks", f"--policy={policy}", "--run-json=run.json", *self._arguments, *options]
        done = self._run("pytest", *words, cwd=self.path)
        out = done.stdout + done.stderr
        return Outcome(done.returncode, out, json.loads(record.read_text()) if record.exists() else {})


@pytest.fixture(name="manner", params=["forked", "plain", "two-workers", "no-xdist"])
def _manner(request: pytest.FixtureRequest) -> str:
    """How pytest is run: `make test` takes the first, `make test-manners` the others."""
    manner: str = request.param
    return manner


@pytest.fixture(name="project")
def _project(pytester: pytest.Pytester, manner: str, fork_server: ForkServer) -> Project:
    return Project(pytester, fork_server if manner == "forked" else new, _OPTIONS.get(manner, ()))


@pytest.fixture(name="project_of_processes")
def _project_of_processes(pytester: pytest.Pytester, new_interpreter: Interpreter) -> Project:
    """Only in new interpreters, for tests of workers."""
    return Project(pytester, new_interpreter)


@pytest.fixture(name="plain_project")
def _plain_project(pytester: pytest.Pytester, interpreter: Interpreter) -> Project:
    return Project(pytester, interpreter)
