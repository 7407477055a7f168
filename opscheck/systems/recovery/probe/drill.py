"""
Runs a restore drill in its own process.

The two processes share a pipe: when one of them ends, the other removes everything that the drill has made. The task
goes through the pipe too, because other users can read command lines and environments.
"""

import atexit
import os
import queue
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import msgspec

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.progress import working
from opscheck.core.query import Query
from opscheck.core.units import format_duration
from opscheck.systems.recovery.drill_record import (
    CLEANING_TAKES_AT_MOST_S,
    FIND,
    LATE,
    Drill,
    Failure,
    PerformDrill,
    Phase,
)
from opscheck.systems.recovery.probe.drilling.cleanup import DATABASE_PREFIX, drop_database, remove_folder
from opscheck.systems.recovery.probe.drilling.messages import (
    Began,
    Did,
    Done,
    Made,
    Message,
    Refused,
    scratch_dsn,
    task,
)
from opscheck.systems.recovery.target import DrillPlace
from opscheck.transport.processes import reachable_parent

FOLDER_PREFIX = "opscheck-drill-"
_OVERTIME_S = 0.5 * CLEANING_TAKES_AT_MOST_S
"""The time after the timeout to clean and report it; then the process is killed."""
_ENDING_TAKES_AT_MOST_S = 10.0


def open_session(target: DrillPlace, timeout_s: float) -> "DrillSession":  # noqa: ARG001 - nothing is sent here
    """Connects to nothing: the store is listed first, and without a backup no drill begins."""
    return DrillSession(target)


class DrillSession:
    """The drills of one expectation."""

    def __init__(self, place: DrillPlace) -> None:
        self._place = place

    def ask(self, query: Query[Any], timeout_s: float) -> Drill:  # noqa: ARG002 - the query has a limit of its own
        """Run the drill. Raises ProbeError when it could not run; a backup that fails it is an answer."""
        if not isinstance(query, PerformDrill):
            raise ProbeError(ProblemKind.UNSUPPORTED, f"a drill does not answer {query.name}")
        _require_writable(self._place.record)
        with _Performance(query, self._place) as performance:
            return performance.result()

    def close(self) -> None:
        """A drill leaves nothing behind after its answer."""


class _Performance:
    """The process of one drill, and the cleaning after it."""

    def __init__(self, query: PerformDrill, place: DrillPlace) -> None:
        self._query, self._place = query, place
        self._database = DATABASE_PREFIX + secrets.token_hex(6)
        self._made: str | None = None
        self._phases: list[tuple[str, float]] = [(FIND, time.monotonic())]
        self._began_at = datetime.now(UTC)
        self._ends = time.monotonic() + query.within_s + _OVERTIME_S
        self._ending = threading.Lock()
        self._over = False

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=reachable_parent()))
        try:
            self._process = self._start()
        except BaseException:
            remove_folder(self._folder)
            raise
        # After an exception in another thread, as by Ctrl-C, this runs before the interpreter exits.
        atexit.register(self._end)
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        atexit.unregister(self._end)

    def result(self) -> Drill:
        """The drill as its process reports it. Raises ProbeError."""
        with ExitStack() as phase:
            advance = phase.enter_context(working(f"restoring {self._query.key}"))
            for message in self._messages():
                match message:
                    case Began():
                        self._phases.append((message.phase, time.monotonic()))
                        phase.close()
                        advance = phase.enter_context(working(message.what, message.total))
                    case Did():
                        advance(message.size)
                    case Made():
                        self._made = message.database
                    case Done():
                        return message.drill
                    case Refused():
                        error = ProbeError(message.problem.kind, message.problem.text)
                        error.problem = message.problem
                        raise error
        if time.monotonic() >= self._ends:
            return self._late()
        raise self._lost()

    def _start(self) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [sys.executable, "-m", "opscheck.systems.recovery.probe.drilling"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C at the terminal must not reach it
        )
        stated = msgspec.json.encode(task(self._query, self._place, str(self._folder), self._database))
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        with suppress(BrokenPipeError):  # it ended at once, which the reader of its output reports
            process.stdin.write(stated + b"\n")
            process.stdin.flush()
        return process

    def _messages(self) -> Iterator[Message]:
        """The messages of the process, until it ends or the time is over."""
        lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threading.Thread(target=_listen, args=(self._process, lines), daemon=True).start()
        while (left := self._ends - time.monotonic()) > 0:
            try:
                line = lines.get(timeout=left)
            except queue.Empty:
                return
            if line is None:
                return
            with suppress(msgspec.MsgspecError):
                yield msgspec.json.decode(line, type=Message)

    def _end(self) -> None:
        """Let the process clean and end; remove the rest here."""
        with self._ending:
            if self._over:
                return
            self._over = True
            assert self._process.stdin is not None  # noqa: S101 - it is a pipe
            with suppress(OSError):
                self._process.stdin.close()  # it waits for this
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_ENDING_TAKES_AT_MOST_S)
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(_ENDING_TAKES_AT_MOST_S)
            remove_folder(self._folder)
            dsn = scratch_dsn(self._place)
            removed_all = self._process.returncode == 0  # it ended by itself
            if self._made is not None and dsn is not None and not removed_all:
                drop_database(dsn, self._made)

    def _late(self) -> Drill:
        """The drill as far as known, after a timeout that its process has not reported."""
        phase = self._phases[-1][0]
        ended = [*self._phases[1:], ("", time.monotonic())]
        times = zip(self._phases, ended, strict=True)
        text = f"not done within {format_duration(self._query.within_s)}"
        return Drill(
            drill=self._query.drill,
            began_at=self._began_at,
            key=self._query.key,
            data_time=self._query.data_time,
            phases=tuple(Phase(name=name, seconds=round(end - start, 3)) for (name, start), (_, end) in times),
            failure=Failure(phase=phase, trouble=LATE, text=text),
            reasons=(f"{phase}: {text}",),
        )

    def _lost(self) -> ProbeError:
        self._end()
        text = f"the drill's process ended with {self._process.returncode} in its phase {self._phases[-1][0]}"
        return ProbeError(ProblemKind.BROKEN, text, "was it killed, or is there no memory left?")


def _listen(process: "subprocess.Popen[bytes]", lines: "queue.SimpleQueue[bytes | None]") -> None:
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    with suppress(OSError, ValueError), process.stdout as output:
        for line in output:
            lines.put(line)
    lines.put(None)


def _require_writable(record: str | None) -> None:
    """Raise ProbeError when the record cannot be written, before the drill begins."""
    if record is None:
        return
    path = Path(record).absolute()
    folder = next(parent for parent in path.parents if parent.exists())
    if path.is_dir() or not os.access(path if path.exists() else folder, os.W_OK):
        text = f"the drill's record cannot be written to {record}"
        raise ProbeError(ProblemKind.DENIED, text, "name another file in `record`, or let opscheck write this one")
