"""What tests do to real Redis servers, and servers that say whatever a test wants them to."""

import shutil
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

from opscheck.demo.redis import Redis, _command
from opscheck.transport.connect import tls_socket
from opscheck.transport.processes import wait_until


class ScriptedServer:
    """Remembers what it was told, and says what the test wants. `on_connect` is said before anything is heard."""

    def __init__(
        self, replies: Sequence[bytes], *, on_connect: bytes = b"", drip_s: float = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        self.heard: list[bytes] = []
        self._closing = threading.Event()
        server = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                try:
                    with tls_socket(self.request, tls, server_side=True) if tls else self.request as connection:
                        connection.settimeout(10)
                        server._talk(connection, replies, on_connect, drip_s)
                except OSError:
                    return

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def _talk(self, connection, replies: Sequence[bytes], on_connect: bytes, drip_s: float) -> None:
        if on_connect:
            connection.sendall(on_connect)
        for reply in replies:
            heard = connection.recv(65536)
            if not heard:
                return
            self.heard.append(heard)
            for piece in [bytes([byte]) for byte in reply] if drip_s else [reply]:
                connection.sendall(piece)
                if self._closing.wait(drip_s):
                    return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


def say(server: Redis, *words: str) -> str:
    """Type a command as the administrator, and read what the server says."""
    return server._say(*words)


def set_config(server: Redis, **settings: str) -> None:
    """CONFIG SET, each of them."""
    for name, value in settings.items():
        assert "+OK\r\n+OK" in say(server, "CONFIG", "SET", name.replace("_", "-"), value)


def eventually(holds: Callable[[], bool], otherwise: str) -> None:
    """Wait until something holds."""
    wait_until(holds, 20, otherwise)


@contextmanager
def said_and_not_awaited(server: Redis, *words: str) -> Iterator[None]:
    """A client that types a command and waits for its reply for as long as this lasts."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(_command("AUTH", server._password) + _command(*words))
        yield


@contextmanager
def loading(server: Redis) -> Iterator[None]:
    """Has it load a data set that takes some seconds. It listens after every 2 MB of it."""
    set_config(server, rdbcompression="no", key_load_delay="200")
    say(server, "DEBUG", "POPULATE", "20000", "key", "1000")
    with said_and_not_awaited(server, "DEBUG", "RELOAD"):
        eventually(lambda: _loads(server), "it does not load")
        yield


def _loads(server: Redis) -> bool:
    with suppress(TimeoutError):  # it listens from time to time
        return "LOADING" in say(server, "PING")
    return False


@contextmanager
def failing_snapshots(server: Redis, folder: Path) -> Iterator[None]:
    """Takes the disk away under it. Root may write anywhere, so taking the right to write is not enough."""
    folder.mkdir()
    set_config(server, dir=str(folder), save="3600 1")
    shutil.rmtree(folder)
    say(server, "BGSAVE")
    eventually(lambda: "rdb_last_bgsave_status:err" in say(server, "INFO", "persistence"), "its snapshot does not fail")
    yield
    set_config(server, save="")  # it would refuse to end without a last snapshot


@contextmanager
def blocked_by_a_script(server: Redis) -> Iterator[None]:
    """A script that never ends, until it is killed."""
    set_config(server, lua_time_limit="10")
    with said_and_not_awaited(server, "EVAL", "while true do end", "0"):
        eventually(lambda: "BUSY" in say(server, "PING"), "no script blocks it")
        yield
        say(server, "SCRIPT", "KILL")


@contextmanager
def full_of_clients(server: Redis) -> Iterator[None]:
    """One client, which is all it may have."""
    set_config(server, maxclients="1")
    with said_and_not_awaited(server, "PING"):
        eventually(lambda: "max number of clients" in _greeting(server), "there is still room")
        yield


def _greeting(server: Redis) -> str:
    """What it says before anybody has spoken, which is nothing while it has room."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=0.2) as connection, suppress(TimeoutError):
        return connection.recv(4096).decode()
    return ""


def fill(server: Redis, *options: str) -> None:
    """Write until it is at its maxmemory: then it refuses, or evicts."""
    for start in range(0, 4000, 100):
        commands = [["SET", f"key:{start + one}", "x" * 10_000, *options] for one in range(100)]
        if "OOM" in _say_all(server, commands):
            return


def _say_all(server: Redis, commands: list[list[str]]) -> str:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        wanted = [["AUTH", server._password], *commands, ["QUIT"]]
        connection.sendall(b"".join(_command(*words) for words in wanted))
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


@contextmanager
def connected(server: Redis, clients: int) -> Iterator[None]:
    """So many clients that have logged in, and do nothing."""
    with ExitStack() as stack:
        for _ in range(clients):
            stack.enter_context(said_and_not_awaited(server, "PING"))
        eventually(lambda: f"connected_clients:{clients + 1}" in say(server, "INFO", "clients"), "not all connected")
        yield


def turn_away(server: Redis, clients: int) -> None:
    """So many clients that find no place. The limit is raised again by the one that is in."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as inside, inside.makefile("rb") as heard:
        inside.sendall(_command("AUTH", server._password) + _command("CONFIG", "SET", "maxclients", "1"))
        assert [b"+OK\r\n"] * 2 == [heard.readline(), heard.readline()]
        for _ in range(clients):
            assert "max number of clients" in _greeting(server)
        inside.sendall(_command("CONFIG", "SET", "maxclients", "1000"))
        assert b"+OK\r\n" == heard.readline()


def up_for(server: Redis, seconds: int) -> None:
    """Wait until it says that it has been up for so long."""

    def uptime() -> int:
        lines = say(server, "INFO", "server").splitlines()
        return int(next(line for line in lines if line.startswith("uptime_in_seconds:")).partition(":")[2])

    eventually(lambda: uptime() >= seconds, "its clock stands still")


def snapshot(server: Redis) -> None:
    """Have it write one, and wait for it."""
    assert "+OK\r\n+OK" in say(server, "SAVE")


@contextmanager
def failing_append_only_file(server: Redis, folder: Path) -> Iterator[None]:
    """It wants to rewrite the file into a folder that is gone."""
    home = say(server, "CONFIG", "GET", "dir").splitlines()[-2]
    folder.mkdir()
    set_config(server, dir=str(folder))
    shutil.rmtree(folder)
    say(server, "BGREWRITEAOF")
    eventually(
        lambda: "aof_last_bgrewrite_status:err" in say(server, "INFO", "persistence"), "its rewrite does not fail"
    )
    yield
    set_config(server, dir=home)


def look_up(server: Redis, key: str, times: int) -> None:
    """GET it again and again."""
    _say_all(server, [["GET", key]] * times)
