"""Servers in processes of their own, started on free loopback ports and stopped by their handles."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_PROGRAMS = Path(__file__).parent / "serving"
_STARTING_TAKES_AT_MOST_S = 60.0
_CLOSING_TAKES_AT_MOST_S = 5.0


class Server:
    """A running server program."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.place: dict[str, Any] = self._hear()

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return str(self.place["url"])

    def ask(self, command: str) -> Any:
        """The server program's answer to `command`."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        return self._hear()

    def close(self) -> None:
        """Let go of it, and end it if it does not end by itself."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        self._process.stdin.close()
        try:
            self._process.wait(_CLOSING_TAKES_AT_MOST_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _hear(self) -> Any:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        late = threading.Timer(_STARTING_TAKES_AT_MOST_S, self._process.kill)
        late.start()
        try:
            line = self._process.stdout.readline()
        finally:
            late.cancel()
        if not line:
            raise RuntimeError(f"the server {self._process.args!r} did not answer")
        return json.loads(line)


@contextmanager
def serving(program: str, *arguments: str) -> Iterator[Server]:
    """Run `serving/PROGRAM.py` for as long as the block lasts."""
    words = [sys.executable, str(_PROGRAMS / f"{program}.py"), *arguments]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    server = Server(process)
    try:
        yield server
    finally:
        server.close()
