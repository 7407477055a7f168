"""The probe: memcached's text protocol, over one connection per query."""

import socket
import time
from typing import Any

from opscheck import ProbeError, ProblemKind, Query, dial, late, seconds_left, unreachable
from opscheck_memcached.stats import ReadStats, Stats
from opscheck_memcached.target import MemcachedTarget

_MOST = 2**20
"""No statistics are longer; a server that keeps sending is not memcached."""


def open_session(target: MemcachedTarget, timeout_s: float) -> "MemcachedSession":
    """Connect once, so that a server that is down costs one time-out. Raises ProbeError."""
    session = MemcachedSession(target)
    session.connect(time.monotonic() + timeout_s, timeout_s).close()
    return session


class MemcachedSession:
    """One server. Several queries may run at once, each with a connection of its own."""

    def __init__(self, target: MemcachedTarget) -> None:
        self._target = target

    def ask(self, query: Query[Any], timeout_s: float) -> Stats:
        """Answer `query` within `timeout_s` seconds. Raises ProbeError."""
        if not isinstance(query, ReadStats):
            raise ProbeError(ProblemKind.UNSUPPORTED, f"a memcached server does not answer {query.text()}")
        deadline = time.monotonic() + timeout_s
        with self.connect(deadline, timeout_s) as connection:
            try:
                self._log_in(connection, deadline)
                return _stats(_exchange(connection, b"stats\r\n", (b"END\r\n",), deadline), self._target.address)
            except TimeoutError:
                raise late(f"{self._target.address} sent no whole answer in {timeout_s:g} s", timeout_s) from None
            except OSError as error:
                raise unreachable(error, self._target.address) from None

    def close(self) -> None:
        """Nothing is kept open."""

    def connect(self, deadline: float, timeout_s: float) -> socket.socket:
        """A connection. Raises ProbeError for a target that is down."""
        try:
            return dial(self._target.host, self._target.port, deadline)
        except TimeoutError:
            text = f"{self._target.address} accepts no connection in {timeout_s:g} s"
            raise late(text, timeout_s, target_down=True) from None
        except OSError as error:
            raise unreachable(error, self._target.address) from None

    def _log_in(self, connection: socket.socket, deadline: float) -> None:
        if self._target.user is None:
            return
        password = self._target.password.get_secret_value() if self._target.password else ""
        credentials = f"{self._target.user} {password}".encode()
        said = _exchange(connection, b"set login 0 0 %d\r\n%s\r\n" % (len(credentials), credentials), (), deadline)
        if said != b"STORED\r\n":
            text = f"{self._target.address} refused the user {self._target.user}"
            raise ProbeError(ProblemKind.DENIED, text, "compare user and password with the file of memcached's -Y")


def _exchange(connection: socket.socket, command: bytes, ends: tuple[bytes, ...], deadline: float) -> bytes:
    """Send a command and read its answer: to one of `ends` or an error, else one line. Raises OSError, ProbeError."""
    connection.settimeout(seconds_left(deadline))
    connection.sendall(command)
    said = b""
    while not (said.endswith(ends or b"\r\n") or _is_error(said)):
        connection.settimeout(seconds_left(deadline))
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionResetError("closed")
        said += piece
        if len(said) > _MOST:
            break
    return said


def _is_error(said: bytes) -> bool:
    return said.startswith((b"ERROR", b"CLIENT_ERROR", b"SERVER_ERROR")) and said.endswith(b"\r\n")


def _stats(said: bytes, address: str) -> Stats:
    if said.startswith(b"CLIENT_ERROR unauthenticated"):
        advice = "give the target `user` and `password`, as in the file of memcached's -Y"
        raise ProbeError(ProblemKind.DENIED, f"{address} wants a user", advice)
    if said.startswith(b"ERROR Too many open connections"):
        advice = "find the client with too many connections, or start memcached with a larger -c"
        raise ProbeError(ProblemKind.UNREACHABLE, f"{address} has reached its limit of connections", advice)
    words = [line.split(" ", 2) for line in said.decode("utf-8", "replace").splitlines()]
    found = {line[1]: line[2] for line in words if line[0] == "STAT" and len(line) == 3}
    try:
        return Stats(
            version=found["version"],
            started=int(found["time"]) - int(found["uptime"]),
            used=int(found["bytes"]),
            limit=int(found["limit_maxbytes"]),
            evictions=int(found["evictions"]),
            connections=int(found["curr_connections"]),
            max_connections=int(found["max_connections"]),
        )
    except (KeyError, ValueError):
        raise ProbeError(ProblemKind.UNREADABLE, f"{address} does not answer as memcached does") from None
