"""Local commands with a deadline for them and their children, and with bounded output."""

import os
import re
import signal
import subprocess
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from selectors import EVENT_READ, DefaultSelector
from time import monotonic
from typing import Any, TypeAlias

MOST_OUTPUT = 1_000_000
"""Maximum size of a command's output in bytes; scripts of probes print less."""
KILLED = frozenset({124, 137, 143})
"""Exit statuses of a command that `timeout` ended: GNU's on TERM and on KILL, busybox's on TERM."""
NOT_FOUND = 127
"""Exit status of a command that does not exist."""

_POLL_S = 0.1
_REAP_TIMEOUT_S = 1.0


@dataclass(frozen=True)
class Finished:
    """A command that has ended by itself."""

    status: int
    stdout: bytes
    stderr: bytes


Run: TypeAlias = Callable[[str, tuple[str, ...], float], Finished]
"""Runs a script with arguments in the host's shell, within so many seconds. Raises ProbeError."""


class CommandStopped(Exception):  # noqa: N818 - not always an error of the command
    """The command was killed: it took too long, or printed too much."""

    def __init__(self, text: str, stdout: bytes, *, late: bool) -> None:
        super().__init__(text)
        self.stdout = stdout
        """Its output so far."""
        self.late = late


def run_locally(command: str, deadline: float) -> Finished:
    """
    Run `command` with `sh` until `deadline` on the monotonic clock. Raises CommandStopped.

    It has no standard input and no terminal, so that ssh fails instead of prompting for a password.
    """
    with _started(command) as process:
        stdout, stderr = bytearray(), bytearray()
        try:
            _read(process, {process.stdout: stdout, process.stderr: stderr}, deadline)
            status = process.wait(max(0.0, deadline - monotonic()))
        except (TimeoutError, subprocess.TimeoutExpired):
            raise CommandStopped("it timed out", bytes(stdout), late=True) from None
        except OverflowError:
            raise CommandStopped(f"it wrote more than {MOST_OUTPUT} bytes", bytes(stdout), late=False) from None
        return Finished(status, bytes(stdout), bytes(stderr))


@contextmanager
def _started(command: str) -> Iterator["subprocess.Popen[bytes]"]:
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    shell = ["/bin/sh", "-c", command]
    # Its own session, so that its children are killed with it.
    process = subprocess.Popen(shell, stdin=nothing, stdout=pipe, stderr=pipe, start_new_session=True)  # noqa: S603 - the caller has quoted it
    # Also runs at the end of the program, when this thread was abandoned.
    kill = weakref.finalize(process, _kill, process.pid)
    try:
        yield process
    finally:
        if process.poll() is None:
            kill()
            # A process in uninterruptible sleep (a dead NFS server) survives even SIGKILL.
            with suppress(subprocess.TimeoutExpired):
                process.wait(_REAP_TIMEOUT_S)
        kill.detach()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def _kill(session: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(session, signal.SIGKILL)


def _read(process: "subprocess.Popen[bytes]", into: Mapping[Any, bytearray], deadline: float) -> None:
    """Read the output of a process as it arrives. Raises TimeoutError, and OverflowError when it is too much."""
    with DefaultSelector() as selector:
        for stream, output in into.items():
            selector.register(stream, EVENT_READ, output)
        while selector.get_map():
            ready = selector.select(max(0.0, min(deadline - monotonic(), _POLL_S)))
            # A child that was left behind, such as the master of ssh's ControlPersist, keeps the pipe open.
            if not ready and process.poll() is not None:
                return
            if monotonic() >= deadline:
                raise TimeoutError
            for key, _ in ready:
                piece = os.read(key.fd, 65536)
                if not piece:
                    selector.unregister(key.fd)
                key.data.extend(piece)
                if len(key.data) > MOST_OUTPUT:
                    raise OverflowError


def sections(output: str) -> dict[str, str]:
    """The parts of a script's output, by the name in the line before each: `opscheck:space`."""
    parts = re.split(r"^opscheck:(\w+)\n", output, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def one_line(text: str, limit: int = 300) -> str:
    """The lines of `text` joined by semicolons, cut to `limit` characters."""
    line = "; ".join(part.strip() for part in text.splitlines() if part.strip())
    return line if len(line) <= limit else line[: limit - 1] + "…"
