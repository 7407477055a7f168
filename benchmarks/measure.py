"""Measuring whole processes from outside: wall time, processor time and peak memory."""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_METER = Path(__file__).with_name("meter.py")
_TAKES_AT_MOST_S = 600.0

# Variables that change the behaviour of Python, pytest or an HTTP client do not reach a measured process.
_STRANGERS = ("PYTEST", "PYTHON", "COV", "OPSCHECK", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "KUBE")


class BenchmarkError(Exception):
    """A measured process failed."""


@dataclass(frozen=True)
class Command:
    """One process to measure."""

    words: Sequence[str]
    folder: Path
    variables: Mapping[str, str]

    def text(self) -> str:
        """As a person would type it."""
        return " ".join([*(f"{name}={value}" for name, value in self.variables.items()), *self.words])


@dataclass(frozen=True)
class Took:
    """The time and memory of one process."""

    wall_s: float
    processor_s: float
    peak_bytes: int
    exit_code: int
    output: str


@dataclass(frozen=True)
class Median:
    """Time and memory of a process: medians over several runs; the peak is the highest."""

    wall_s: float
    processor_s: float
    peak_bytes: int
    runs: int


def run(command: Command) -> Took:
    """Run a process to its end. Raises BenchmarkError when it takes ten minutes."""
    with tempfile.TemporaryFile() as output, tempfile.NamedTemporaryFile() as report:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_METER), report.name, *command.words],
            cwd=command.folder,
            env=_clean_environment() | dict(command.variables),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # its children can be ended with it
        )
        try:
            process.wait(_TAKES_AT_MOST_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise BenchmarkError(f"{command.text()}\n  did not end in {_TAKES_AT_MOST_S:g} s") from None
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
        return Took(output=text, **json.loads(report.read()))


def run_well(command: Command, *, exit_code: int = 0, says: str = "") -> Took:
    """The same, for a process that must end with `exit_code` and say something. Raises BenchmarkError."""
    took = run(command)
    if took.exit_code != exit_code or says not in took.output:
        wanted = f"exit code {exit_code}" + (f" and {says!r}" if says else "")
        tail = "\n".join(took.output.splitlines()[-25:])
        raise BenchmarkError(f"{command.text()}\n  expected {wanted}, got exit code {took.exit_code}:\n{tail}")
    return took


def medians(runs: int, *measured: Callable[[], Took]) -> list[Median]:
    """
    Run each of these once to warm up and then `runs` times, in turns, so that a busy machine is busy for all.

    `measured` are functions that run one process and raise BenchmarkError when it went wrong.
    """
    for warm_up in measured:
        warm_up()
    taken: list[list[Took]] = [[] for _ in measured]
    for _ in range(runs):
        for mine, measure in zip(taken, measured, strict=True):
            mine.append(measure())
    return [_median(one) for one in taken]


def once(measured: Callable[[], Took]) -> Median:
    """One run without a warm-up, of something that takes long and whose start does not matter."""
    return _median([measured()])


def _median(taken: Sequence[Took]) -> Median:
    return Median(
        statistics.median(took.wall_s for took in taken),
        statistics.median(took.processor_s for took in taken),
        max(took.peak_bytes for took in taken),
        len(taken),
    )


def _clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.upper().startswith(_STRANGERS)}
