"""
Python commands in a process of their own: forked from a server that has imported everything, or in a new interpreter.

A test that takes `interpreter` runs in both manners: forked in `make test`, in a new one in `make test-manners`. Those
of tests/whole run in a new one only.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from select import select
from typing import Protocol

import pytest

NEW = "new-interpreter"
"""The manner, as parameter of `interpreter`, that belongs to `make test-manners`."""

_SERVER = Path(__file__).with_name("fork_server.py")
_STARTS_WITHIN = 60.0
# An interpreter reads these while it starts. A forked process cannot.
_READ_AT_START = ("PYTHONWARNINGS", "PYTHONIOENCODING", "PYTHONUTF8", "PYTHONHASHSEED", "LC_ALL", "LC_CTYPE", "LANG")


class Interpreter(Protocol):
    """Runs `python -m` with these words."""

    def __call__(
        self, *words: str | os.PathLike[str], cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Exit code and output; `env` is the whole environment. Raises subprocess.TimeoutExpired."""


def new(
    *words: str | os.PathLike[str], cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """In a new interpreter."""
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=cwd, env=env, capture_output=True, text=True, timeout=timeout, check=False
    )


class ForkServer:
    """In a forked process. The server starts with the first command."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def __call__(
        self,
        *words: str | os.PathLike[str],
        cwd: Path,
        env: Mapping[str, str] | None = None,
        timeout: float = 60,
        stdin: str = os.devnull,
    ) -> subprocess.CompletedProcess[str]:
        """Exit code and output; `env` is the whole environment, `stdin` a path. Raises subprocess.TimeoutExpired."""
        environment = dict(os.environ if env is None else env)
        if any(environment.get(name) != os.environ.get(name) for name in _READ_AT_START):
            assert stdin == os.devnull, "a new interpreter gets no input here"
            return new(*words, cwd=cwd, env=env, timeout=timeout)
        arguments = [os.fspath(word) for word in words]
        with self._lock, tempfile.NamedTemporaryFile() as out, tempfile.NamedTemporaryFile() as err:
            files = {"stdin": stdin, "stdout": out.name, "stderr": err.name}
            code = self._run(arguments, timeout, cwd=str(cwd), env=environment, **files)
            printed = [Path(file.name).read_text(encoding="utf-8") for file in (out, err)]
        return subprocess.CompletedProcess(arguments, code, *printed)

    def close(self) -> None:
        """Stop the server. May be called twice."""
        if self._process is not None:
            self._process.communicate(timeout=30)
            self._process = None

    def _run(self, arguments: list[str], timeout: float, **request: object) -> int:
        server = self._started()
        assert server.stdin is not None
        server.stdin.write(json.dumps({"arguments": arguments, **request}).encode() + b"\n")
        child = self._answer(server, _STARTS_WITHIN)
        assert child is not None, "the fork server does not answer"
        code = self._answer(server, timeout)
        if code is None:
            os.kill(child, signal.SIGKILL)
            self._answer(server, _STARTS_WITHIN)
            raise subprocess.TimeoutExpired(arguments, timeout)
        return code

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(
                # -P: the modules beside the script have names of libraries.
                [sys.executable, "-P", _SERVER],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            assert self._answer(self._process, _STARTS_WITHIN) == self._process.pid
        return self._process

    def _answer(self, server: subprocess.Popen[bytes], within: float) -> int | None:
        """One number, or None where it takes longer."""
        assert server.stdout is not None
        ready, _, _ = select([server.stdout], [], [], within)
        if not ready:
            return None
        line = server.stdout.readline()
        assert line, "the fork server has ended"
        return int(line)


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """One for all tests of this process."""
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def new_interpreter() -> Interpreter:
    """For what is about interpreters or their workers, and takes long: it belongs to `make test-manners`."""
    return new


@pytest.fixture(scope="session", params=["forked", NEW])
def interpreter(request: pytest.FixtureRequest, fork_server: ForkServer) -> Interpreter:
    """Runs `python -m`: forked, and in a new interpreter."""
    return new if request.param == NEW else fork_server
