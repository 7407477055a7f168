"""pg_restore as a judge of archives: it reads the whole archive, and its output is discarded."""

import fcntl
import os
import re
import signal
import subprocess
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from typing import IO, Self, cast

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.postgres.programs import HOW_TO_GET, VARIABLE, Installation, installations
from opscheck.systems.stores.archives.inspection import Unjudged
from opscheck.systems.stores.archives.pg_dump import READ_SINCE
from opscheck.systems.stores.archives.stream import Broken
from opscheck.systems.stores.content import DumpHeader

PROGRAM = "pg_restore"
_NOWHERE = ("--file", os.devnull)
_MOST_ERRORS = 2**16
_PIPE = 2**20
_REAPING_S = 1.0
_F_SETPIPE_SZ = getattr(fcntl, "F_SETPIPE_SZ", None)

# Messages about the archive that quote none of its content; the rest of the line is dropped.
_SAFE_MESSAGES = re.compile(
    r"could not read from input file(: end of file)?"
    r"|could not uncompress data(: (incorrect data check|incorrect header check|invalid [a-z /-]+))?"
    r"|could not (close|open|decompress) data( file)?"
    r"|could not find block ID \d+ in archive( -- possibly corrupt archive)?"
    r"|could not find header for file"
    r"|found unexpected block ID \(\d+\)"
    r"|unrecognized data block type \(\d+\)"
    r"|did not find magic string in file header"
    r"|does not appear to be a valid archive"
    r"|input file (is too short|does not appear to be a valid (tar )?archive)"
    r"|corrupt tar header"
    r"|incomplete tar header"
    r"|entry ID -?\d+ out of range"
    r"|unexpected end of (file|compressed input|data)"
    r"|unexpected offset flag \d+"
    r"|unexpected data offset flag -?\d+"
    r"|(compressed )?file is (truncated|corrupt)"
    r"|out of memory"
)
_TOO_NEW = re.compile(r"unsupported version \(([\d.]+)\) in file header")
_BUILT_WITHOUT = re.compile(r"(?:build does not support compression with|compression not supported in this)( \w+)?")


def newest_program(header: DumpHeader | None) -> Installation:
    """The newest pg_restore on this machine. Raises Unjudged unless one can read the archive."""
    found = installations(PROGRAM)
    if not found:
        raise Unjudged(f"there is no {PROGRAM} on this machine to read it with", HOW_TO_GET)
    newest = found[0]
    needed = READ_SINCE.get(header.archive_version, 0) if header is not None else 0
    if header is not None and newest.major < needed:
        raise Unjudged(
            f"its archive format {header.archive_version} needs {PROGRAM} {needed} or newer; "
            f"the newest here is {newest.version}",
            f"install the client programs of PostgreSQL {needed} or newer, or name their folder in {VARIABLE}",
        )
    return newest


class PgRestore:
    """
    Feeds an archive to pg_restore, which runs until the `with` ends.

    It has its own process group, which this process kills; it also ends with its input.
    """

    def __init__(
        self, program: Installation, deadline: float, options: Sequence[str] = (), *, group: int | None = None
    ) -> None:
        """`group` is an existing process group of this session that it joins instead."""
        self.name = f"{PROGRAM} {program.version}"
        self._deadline = deadline
        self._errors = bytearray()
        self._feeding = True
        self._process = subprocess.Popen(  # noqa: S603 - a program of PostgreSQL's name
            [program.program(PROGRAM), *_NOWHERE, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={"LC_ALL": "C", "PATH": os.defpath},
            cwd="/",
            process_group=group or 0,
            bufsize=0,
        )
        # Also runs when the interpreter exits after this thread was abandoned.
        self._kill = weakref.finalize(self._process, _kill, self._process.pid, alone=group is None)
        self._stdin, self._stderr = cast("IO[bytes]", self._process.stdin), cast("IO[bytes]", self._process.stderr)
        os.set_blocking(self._stdin.fileno(), False)
        if _F_SETPIPE_SZ is not None:
            with suppress(OSError):  # a smaller pipe works too
                fcntl.fcntl(self._stdin.fileno(), _F_SETPIPE_SZ, _PIPE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._kill()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_REAPING_S)
        self._kill.detach()
        self._stdin.close()
        self._stderr.close()

    def feed(self, piece: bytes) -> None:
        """Write to its input. Raises Broken or Unjudged when it has failed, ProbeError when late."""
        view = memoryview(piece)
        while view and self._feeding:
            with DefaultSelector() as ready:
                ready.register(self._stdin, EVENT_WRITE)
                ready.register(self._stderr, EVENT_READ)
                self._listen(ready)
            view = view[self._write(view) :]
        if not self._feeding:
            self._conclude()

    def end(self) -> None:
        """Wait until it has read everything. Raises as `feed`."""
        self._stdin.close()
        self._conclude()

    def _write(self, view: memoryview) -> int:
        try:
            return os.write(self._stdin.fileno(), view)
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            self._feeding = False
            return 0

    def _listen(self, ready: DefaultSelector) -> bool:
        """Read from its standard error; False at its end."""
        left = self._deadline - time.monotonic()
        events = ready.select(max(0.0, left))
        if not events and left <= 0:
            raise ProbeError(ProblemKind.LATE, f"{self.name} did not end in time", "raise `within`")
        if any(key.fileobj is self._stderr for key, _ in events):
            piece = os.read(self._stderr.fileno(), _MOST_ERRORS)
            if len(self._errors) < _MOST_ERRORS:
                self._errors += piece
            return bool(piece)
        return True

    def _conclude(self) -> None:
        with DefaultSelector() as ready:
            ready.register(self._stderr, EVENT_READ)
            while self._listen(ready):
                pass
        try:
            status = self._process.wait(max(_REAPING_S, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise ProbeError(ProblemKind.LATE, f"{self.name} did not end in time", "raise `within`") from None
        if status:
            raise error_of(self.name, self._errors.decode("utf-8", "replace"), status)


def error_of(name: str, errors: str, status: int) -> Broken | Unjudged:
    """The reason why it failed, without any content of the archive."""
    reported = [line for line in errors.splitlines() if line.startswith(f"{PROGRAM}: error: ")]
    last = reported[-1] if reported else errors[-1000:]
    if (found := _TOO_NEW.search(last)) is not None:
        return Unjudged(
            f"its archive format {found[1]} is newer than {name} knows",
            f"install newer client programs of PostgreSQL, or name their folder in {VARIABLE}",
        )
    if (found := _BUILT_WITHOUT.search(errors)) is not None:
        packed = (found[1] or "").strip() or "what it is compressed with"
        return Unjudged(
            f"{name} was built without {packed}, which the tables in it are compressed with",
            f"name the folder of one that was built with it in {VARIABLE}",
        )
    if status < 0:
        return Unjudged(f"{name} was ended by signal {signal.Signals(-status).name}", "is there enough memory?")
    found = _SAFE_MESSAGES.search(last)
    if found is None:
        return Broken(f"{name} cannot read it, and says why in words that may quote rows")
    return Broken(f"{name}: {found[0]}", cut_off="end of file" in found[0] or "short" in found[0])


def _kill(process: int, *, alone: bool) -> None:
    with suppress(ProcessLookupError):
        (os.killpg if alone else os.kill)(process, signal.SIGKILL)
