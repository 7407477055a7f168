"""
Asks Redis and Valkey servers through redis-py, in their protocol's second version, which all of them speak.

Nothing is said but AUTH and the question: an access list may refuse what a client tells of itself with CLIENT SETINFO
and HELLO.
"""

import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from redis import Connection, exceptions
from redis._parsers import _RESP2Parser
from redis.backoff import NoBackoff
from redis.retry import Retry

from opscheck.probes.contact import GRACE_S, dial, late, seconds_left, secure, trust, unreachable
from opscheck.queries.base import Query
from opscheck.queries.observation import ProbeError, ProblemKind
from opscheck.queries.redis import PingAnswer, RedisPing, Refusal, acl_rule
from opscheck.targets import RedisTarget
from opscheck.units import format_duration

_PORT = 6379
_LONGEST_REPLY = 1 << 20  # bytes; INFO has ten or twenty thousand
_SHOWN = 200
_STATES = set(Refusal) - {Refusal.MAX_CLIENTS, Refusal.OTHER}
_TCP, _TLS, _UNIX = {"redis", "valkey"}, {"rediss", "valkeys"}, {"unix", "redis+unix"}


def open_session(target: RedisTarget, timeout_s: float) -> "RedisSession":
    """Connect to the server once, without a word. Raises ProbeError."""
    place = Place.of(target.url.get_secret_value())
    context = trust(target.ca_file) if place.tls else None
    try:
        _connect(place, None, time.monotonic() + timeout_s + GRACE_S).close()
    except TimeoutError as error:
        raise late(f"no connection to {place} in {format_duration(timeout_s)}", timeout_s, target_down=True) from error
    except OSError as error:
        raise unreachable(error, str(place)) from error
    return RedisSession(place, context)


@dataclass(frozen=True)
class Place:
    """A server's URL taken apart. Its credentials never show."""

    host: str
    port: int
    tls: bool = False
    path: str = ""
    """The socket's path, when it is one of Unix."""
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @classmethod
    def of(cls, url: str) -> Self:
        """Take a target's URL apart; which database it names makes no difference here. Raises ProbeError."""
        try:
            parts = urlsplit(url)
            port, host = parts.port or _PORT, unquote(parts.hostname or "")
        except ValueError as error:
            raise _unusable("is malformed") from error
        if parts.scheme not in _TCP | _TLS | _UNIX:
            raise _unusable("does not start with redis://, rediss:// or unix://")
        path = unquote(parts.path) if parts.scheme in _UNIX else ""
        if not (path or host):
            raise _unusable("names no server")
        return cls(host, port, parts.scheme in _TLS, path, unquote(parts.username or ""), unquote(parts.password or ""))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.path or f"{host}:{self.port}"


class RedisSession:
    """One server for the length of a run. Every question opens a connection of its own."""

    def __init__(self, place: Place, context: ssl.SSLContext | None) -> None:
        self._place = place
        self._context = context

    def ask(self, query: Query[Any], timeout_s: float) -> PingAnswer:
        """Connect, log in and PING. Raises ProbeError."""
        if not isinstance(query, RedisPing):
            raise ProbeError(ProblemKind.UNSUPPORTED, f"a Redis server cannot be asked {query.text()}")
        started = time.monotonic()
        try:
            return self._ping(query.samples, started, started + timeout_s + GRACE_S)
        except (TimeoutError, exceptions.TimeoutError) as error:
            waited = time.monotonic() - started
            raise late(f"no PONG from {self._place} in {format_duration(waited)}", waited) from error
        except OSError as error:
            raise unreachable(error, str(self._place)) from error

    def close(self) -> None:
        """Nothing is kept open."""

    def _ping(self, samples: int, started: float, deadline: float) -> PingAnswer:
        pings: list[float] = []
        with _Conversation(self._place, self._context, deadline) as conversation:
            reply = self._log_in(conversation)
            connect_s = time.monotonic() - started
            while not reply.error and len(pings) < samples:
                said = time.monotonic()
                reply = conversation.ping()
                if not reply.error:
                    pings.append(time.monotonic() - said)
        self._raise_if_denied(reply)
        return PingAnswer(refusal=reply.refusal, error=reply.error, connect_s=connect_s, pings_s=tuple(pings))

    def _log_in(self, conversation: "_Conversation") -> "_Reply":
        reply = conversation.log_in()
        if reply.refusal is not Refusal.OTHER or reply.code == "DENIED":
            return reply  # about the server, and not about who logs in
        # Not in the server's words: "unknown command AUTH, with args beginning with …" quotes the password.
        raise ProbeError(
            ProblemKind.DENIED,
            f"{self._place} does not accept the user and password in the target's url ({reply.code})",
            f"check them, or have an administrator type: {acl_rule(self._place.user or 'opscheck', ['ping'])}",
            target_down=True,
        )

    def _raise_if_denied(self, reply: "_Reply") -> None:
        user = self._place.user or "default"
        if reply.code == "NOPERM":
            text = f"{self._place} does not let the user {user} run PING"
            raise ProbeError(ProblemKind.DENIED, text, f"have an administrator type: ACL SETUSER {user} +ping")
        if reply.code == "NOAUTH":
            text = f"{self._place} wants a password, and the target's url has none"
            rule = acl_rule("opscheck", ["ping"])
            advice = f"write redis://opscheck:password@host; an administrator makes that user with: {rule}"
            raise ProbeError(ProblemKind.DENIED, text, advice, target_down=True)
        if reply.code == "DENIED":
            text = f"{self._place} is in protected mode, which lets nobody in from other machines"
            advice = "give its default user a password, or connect from the machine it runs on"
            raise ProbeError(ProblemKind.DENIED, text, advice, target_down=True)


@dataclass(frozen=True)
class _Reply:
    """What the server answered; `error` is empty when it is none."""

    value: Any = None
    error: str = ""

    @property
    def code(self) -> str:
        """The first word of an error."""
        return self.error.partition(" ")[0]

    @property
    def refusal(self) -> Refusal | None:
        """The state of the server that this error tells of; None without an error."""
        if not self.error:
            return None
        if self.error.startswith("ERR max number of clients"):
            return Refusal.MAX_CLIENTS
        return Refusal(self.code) if self.code in _STATES else Refusal.OTHER


class _Parser(_RESP2Parser):
    """redis-py's parser in Python, so that an answer reads the same whether or not hiredis is installed."""

    @classmethod
    def parse_error(cls, response: str) -> exceptions.ResponseError:
        """
        An error in the server's own words.

        redis-py takes the first word off those that it has a class for, and NOAUTH and WRONGPASS share one.
        """
        return exceptions.ResponseError(response)


class _TimedSocket:
    """What redis-py wants of a socket, with one deadline for all of it: redis-py's own time-outs are per read."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline
        self.heard = bytearray()
        """What came since something was last said."""

    def sendall(self, data: bytes) -> None:
        """Send all of it, unless the server hung up. Raises OSError."""
        self.heard.clear()
        self._connection.settimeout(seconds_left(self._deadline))
        # What a server said before it hung up can still be read: too many clients, a certificate wanted.
        with suppress(ConnectionError, ssl.SSLEOFError):
            self._connection.sendall(data)

    def recv(self, size: int) -> bytes:
        """The next bytes, none at the end. Raises OSError, and InvalidResponse when they do not come to an end."""
        if len(self.heard) > _LONGEST_REPLY:
            raise exceptions.InvalidResponse
        self._connection.settimeout(seconds_left(self._deadline))
        received = self._connection.recv(size)
        self.heard += received
        return received

    def shutdown(self, how: int) -> None:
        """Hang up. Raises OSError."""
        self._connection.shutdown(how)

    def close(self) -> None:
        """Close it; a second time does nothing."""
        self._connection.close()


class _Connection(Connection):
    """redis-py's, over a socket that is open already, and with nothing said on it that nobody asked for."""

    def __init__(self, place: Place, timed_socket: _TimedSocket) -> None:
        super().__init__(  # type: ignore[no-untyped-call] # redis-py gives it no types
            username=place.user if place.password else "",
            password=place.password,
            protocol=2,
            parser_class=_Parser,
            retry=Retry(NoBackoff(), 0),
        )
        # No CLIENT SETINFO. From redis-py 7.2 on this is its driver_info; before, lib_name and lib_version, which as
        # arguments are deprecated since.
        self.driver_info = self.lib_name = self.lib_version = None
        self._timed_socket = timed_socket

    def _connect(self) -> _TimedSocket:
        return self._timed_socket


# The last three are what redis-py's parser runs into where a server's numbers are none, or far too large.
_GARBLED = (
    exceptions.InvalidResponse,
    exceptions.AuthenticationError,  # AUTH was answered, with neither +OK nor an error
    ValueError,
    OverflowError,
    RecursionError,
)


class _Conversation:
    """A connection on which commands and replies take turns, with one deadline for all of it."""

    def __init__(self, place: Place, context: ssl.SSLContext | None, deadline: float) -> None:
        self._place = place
        self._socket = _TimedSocket(_connect(place, context, deadline), deadline)
        self._connection = _Connection(place, self._socket)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.disconnect()  # type: ignore[no-untyped-call] # redis-py gives it no types
        self._socket.close()

    def log_in(self) -> _Reply:
        """Say AUTH, where the target has a password. Raises as `say`."""
        return self._reply(self._connection.connect)

    def ping(self) -> _Reply:
        """Say PING. Raises as `say`, and when the reply is neither PONG nor an error."""
        reply = self.say("PING")
        if not reply.error and reply.value != b"PONG":
            raise self._not_redis()
        return reply

    def say(self, *words: str) -> _Reply:
        """Send a command and read its reply. Raises ProbeError when that is none, and redis-py's TimeoutError."""

        def turn() -> Any:
            self._connection.send_command(*words)  # type: ignore[no-untyped-call] # redis-py gives it no types
            return self._connection.read_response()

        return self._reply(turn)

    def _reply(self, turn: Callable[[], Any]) -> _Reply:
        try:
            return _Reply(value=turn())
        except exceptions.ResponseError as error:
            return _Reply(error=str(error)[:_SHOWN] or "-")
        except _GARBLED as error:
            raise self._not_redis() from error
        except exceptions.ConnectionError as error:
            if isinstance(error.__context__, OSError):
                raise unreachable(error.__context__, str(self._place)) from error
            if self._socket.heard:
                raise self._not_redis() from error
            raise unreachable(ConnectionResetError(), str(self._place)) from error

    def _not_redis(self) -> ProbeError:
        said = self._socket.heard.partition(b"\r\n")[0][:_SHOWN].decode("utf-8", "replace")
        # Not more than a word to somebody who was told a password, and may repeat it.
        shown = said.partition(" ")[0] if self._place.password else said
        return ProbeError(
            ProblemKind.UNREADABLE,
            f"{self._place} does not answer as Redis does: {shown!r}",
            "is this the right port?",
        )


def _connect(place: Place, context: ssl.SSLContext | None, deadline: float) -> socket.socket:
    """
    Reach the server, with TLS where there is a context. Raises OSError.

    redis-py would give each of a name's addresses the whole time, and trust the system's authorities beside `ca_file`.
    """
    if place.path:
        return _connect_to_path(place.path, deadline)
    connection = dial(place.host, place.port, deadline)
    return secure(connection, context, place.host, deadline) if context is not None else connection


def _connect_to_path(path: str, deadline: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(seconds_left(deadline))
        connection.connect(path)
    except OSError:
        connection.close()
        raise
    return connection


def _unusable(fault: str) -> ProbeError:
    # Without the value: nobody knows which part of a malformed URL is the password.
    return ProbeError(
        ProblemKind.UNSUPPORTED,
        f"the target's url {fault}",
        "write redis://user:password@host:6379, rediss:// for TLS, or unix:///path; "
        "special characters in a password are percent-encoded",
        target_down=True,
    )
