"""A folder with checks may bring a kind of target: its class, `open_session` and the check in one module."""

import json
import socket
import subprocess
import sys

import pytest

CHECKS = '''
"""A door that is a TCP port."""

from dataclasses import dataclass

import msgspec

from opscheck import Expectation, Findings, Observe, Problem, ProblemKind, Query, Severity, Target, dial, unreachable


class DoorTarget(Target, kind="door"):
    """A TCP port."""

    port: int
    """Its number."""


class Greeting(msgspec.Struct, frozen=True):
    """What the door says first."""

    text: str


@dataclass(frozen=True)
class ReadGreeting(Query[Greeting], name="door.greeting"):
    """What the door says first."""


class DoorOpen(Expectation, check="door.open"):
    """The door is open."""

    needs_severity = True
    target: DoorTarget

    def queries(self):
        """What it says."""
        return [ReadGreeting(self.target.name)]

    def no_answer(self, problem: Problem) -> Severity | None:
        """A closed door is what this looks for."""
        return self.worst_severity if problem.kind is ProblemKind.UNREACHABLE else None


class DoorSession:
    """One connection per query."""

    def __init__(self, target: DoorTarget) -> None:
        self.target = target

    def ask(self, query: ReadGreeting, timeout_s: float) -> Greeting:
        """What the door says."""
        return Greeting(text="hello")

    def close(self) -> None:
        """Nothing is open."""


def open_session(target: DoorTarget, timeout_s: float) -> DoorSession:
    """Knock."""
    import time

    try:
        dial("127.0.0.1", target.port, time.monotonic() + timeout_s).close()
    except OSError as error:
        raise unreachable(error, f"127.0.0.1:{target.port}") from None
    return DoorSession(target)


def test_door_is_open(expectation: DoorOpen, observe: Observe, findings: Findings) -> None:
    """
    The door is open.

    Visitors wait outside.
    """
    assert observe(ReadGreeting(expectation.target.name)).text == "hello"
'''


@pytest.fixture(name="project")
def _project(tmp_path):
    """A folder with the check and a policy for a port, and the command that runs it."""
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / "test_door.py").write_text(CHECKS)

    def run(port, *words):
        policy = {
            "version": 1,
            "environment": "test",
            "targets": {"front": {"kind": "door", "port": port}},
            "expectations": [{"id": "open", "check": "door.open", "target": "front", "severity": "P1"}],
        }
        (tmp_path / "policy.yaml").write_text(json.dumps(policy))
        command = [sys.executable, "-m", "opscheck", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)

    return run


def test_target_of_a_folder_with_checks_is_judged(project, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
        opened = project(port, "run", "-p", "policy.yaml", "checks", "--save", "snapshot.json")
    closed = project(port, "run", "-p", "policy.yaml", "checks", "--json", "run.json")
    saved = project(port, "run", "-p", "policy.yaml", "checks", "--from", "snapshot.json")

    assert 0 == opened.returncode, opened.stdout + opened.stderr
    assert "1 passed" in opened.stdout
    assert 1 == closed.returncode, closed.stdout + closed.stderr
    (result,) = json.loads((tmp_path / "run.json").read_text())["results"]
    assert ("violated", "P1") == (result["verdict"], result["severity"])
    assert "connection refused" in closed.stdout
    assert 0 == saved.returncode, saved.stdout + saved.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("validate", "policy.yaml", "--checks", "checks"), "no errors"),
        (("explain", "open", "-p", "policy.yaml", "--checks", "checks"), "front (door)"),
        (("permissions", "policy.yaml", "--checks", "checks"), "front (door): nothing to grant"),
        (("schema", "checks"), "door.open"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_target_of_a_folder_with_checks_is_described(project, words, said):
    done = project(1, *words)

    assert (0, "") == (done.returncode, done.stderr), done.stdout
    assert said in done.stdout
