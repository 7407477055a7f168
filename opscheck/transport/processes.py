"""Server processes: started on a free port, awaited with a deadline, stopped by their handle."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

FOLDER_PREFIX = "opscheck-demo-"
# PostgreSQL refuses to run as root. This user exists on every system and owns nothing.
_UNPRIVILEGED = "nobody"
_POLL_S = 0.02
_STOP_TIMEOUT_S = 5.0
_LINES_OF_LOG = 12


class ServerFailed(RuntimeError):  # noqa: N818 -- a statement reads better in a message than a noun
    """A server did not start, or failed; the message names it and contains the end of its log."""


class ServerProcess:
    """
    One child process that serves.

    It has its own session, so that Ctrl-C at the terminal reaches only opscheck, which then ends its servers in order.
    `user` is the system user of the process; its output goes to `log`.
    """

    def __init__(self, name: str, command: Sequence[str | Path], log: Path, *, user: str | None = None) -> None:
        self.name = name
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 -- the caller chose the program
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=log.parent,
                start_new_session=True,
                user=user,
                group=group_of(user),
                extra_groups=[] if user else None,
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """True while it runs."""
        return self._process.poll() is None

    def wait_until(self, ready: Callable[[], bool], *, within: float = 20.0) -> None:
        """Wait until `ready` returns true. Raises ServerFailed when the process ends first, or at the timeout."""
        wait_until(lambda: not self.running or ready(), within, f"{self.name} does not answer", self.log_tail)
        if not self.running:
            raise ServerFailed(f"{self.name} ended with {self._process.returncode}:\n{self.log_tail()}")

    def stop(self, how: signal.Signals = signal.SIGTERM, *, within: float = _STOP_TIMEOUT_S) -> None:
        """End it with a signal, and kill it when that takes too long. May be called twice."""
        if self.running:
            self._process.send_signal(how)
        try:
            self._process.wait(within)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_STOP_TIMEOUT_S)

    def log_tail(self) -> str:
        """The last lines of its output."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-_LINES_OF_LOG:])


def wait_until(holds: Callable[[], bool], within: float, otherwise: str, evidence: Callable[[], str] = str) -> None:
    """Wait until `holds` returns true. After `within` seconds raises ServerFailed: `otherwise`, and the evidence."""
    deadline = time.monotonic() + within
    while not holds():
        if time.monotonic() > deadline:
            raise ServerFailed(f"{otherwise} (waited {within:g} s)\n{evidence()}".rstrip())
        time.sleep(_POLL_S)


def unprivileged_user() -> str | None:
    """The system user for programs that refuse to run as root; None if this process is not root."""
    return _UNPRIVILEGED if os.geteuid() == 0 else None


def give(path: Path, user: str | None) -> None:
    """Make a system user the owner of a path and of everything in it; None leaves it as it is."""
    if user is None:
        return
    owner = pwd.getpwnam(user)
    for found in (path, *path.rglob("*")):
        os.chown(found, owner.pw_uid, owner.pw_gid, follow_symlinks=False)


def copy_programs(programs: Path, to: Path) -> Path:
    """Copy PostgreSQL's installation with the libraries next to its package, as auditwheel links them."""
    package = programs.parent
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, to / libraries.name)
    return shutil.copytree(programs, to / package.name / programs.name, symlinks=True)


def group_of(user: str | None) -> int | None:
    """The group id of a system user; None stays None."""
    return pwd.getpwnam(user).pw_gid if user else None


def folder() -> "tempfile.TemporaryDirectory[str]":
    """A temporary folder that other users may traverse but not list."""
    made = tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX, dir=reachable_parent())
    Path(made.name).chmod(0o711)
    return made


def reachable_parent() -> str | None:
    """The parent of temporary folders; as root, one that an unprivileged user can reach too."""
    usual = tempfile.gettempdir()
    if os.geteuid() != 0 or reachable(Path(usual)):
        return usual
    return next((path for path in ("/tmp", "/var/tmp") if reachable(Path(path))), usual)  # noqa: S108 -- mkdtemp follows


def reachable(path: Path) -> bool:
    """True if any user can reach this path: others may traverse each of its folders."""
    found = path.resolve()
    return all(folder.stat().st_mode & 0o001 for folder in (found, *found.parents))


def free_port() -> int:
    """A TCP port on 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def accepts(port: int) -> bool:
    """True if a process accepts connections on this port of 127.0.0.1."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError:
        return False
    return True
