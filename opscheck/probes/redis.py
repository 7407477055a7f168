"""
Asks Redis and Valkey servers, in their protocol's second version, which all of them speak.

PING needs four lines of it. A client library would send commands of its own at every connection (CLIENT SETINFO,
HELLO), which an access list may refuse; it keeps time per read and not in all; and it takes 0.3 s to import.
"""

import socket
import ssl
import time
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from opscheck.probes.contact import GRACE_S, dial, late, seconds_left, secure, trust, unreachable
from opscheck.queries.base import Query
from opscheck.queries.observation import ProbeError, ProblemKind
from opscheck.queries.redis import PingAnswer, RedisPing, Refusal, acl_rule
from opscheck.targets import RedisTarget
from opscheck.units import format_duration

_PORT = 6379
_LONGEST_LINE = 65536
_SHOWN = 200
_STATES = set(Refusal) - {Refusal.MAX_CLIENTS, Refusal.OTHER}
_TCP, _TLS, _UNIX = {"redis", "valkey"}, {"rediss", "valkeys"}, {"unix", "redis+unix"}


def open_session(target: RedisTarget, timeout_s: float) -> "RedisSession":
    """Connect to the server once, without a word. Raises ProbeError."""
    place = Place.of(target.url.get_secret_value())
    context = trust(target.ca_file) if place.tls else None
    try:
        _connect(place, time.monotonic() + timeout_s + GRACE_S).close()
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

    @property
    def auth(self) -> tuple[str, ...]:
        """The command that logs in, empty where nobody has to."""
        if not self.password:
            return ()
        return ("AUTH", self.user, self.password) if self.user else ("AUTH", self.password)


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
        except TimeoutError as error:
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
                reply = conversation.say("PING")
                if not reply.error:
                    pings.append(time.monotonic() - said)
        self._raise_if_denied(reply)
        return PingAnswer(refusal=reply.refusal, error=reply.error, connect_s=connect_s, pings_s=tuple(pings))

    def _log_in(self, conversation: "_Conversation") -> "_Reply":
        if not self._place.auth:
            return _Reply()
        reply = conversation.say(*self._place.auth)
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
    """One line from the server; `error` is empty when it is none."""

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


class _Conversation:
    """A connection on which commands and one-line replies take turns, with one deadline for all of it."""

    def __init__(self, place: Place, context: ssl.SSLContext | None, deadline: float) -> None:
        self._place = place
        self._deadline = deadline
        self._received = b""
        self._connection: socket.socket = _connect(place, deadline)
        if context is not None:
            self._connection = secure(self._connection, context, place.host, deadline)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def say(self, *words: str) -> _Reply:
        """Send a command and read its reply. Raises ProbeError when that is none, and OSError."""
        hung_up: OSError | None = None
        try:
            self._connection.settimeout(seconds_left(self._deadline))
            self._connection.sendall(_command(words))
        except ConnectionError as error:
            hung_up = error  # what a server said before it hung up can still be read: too many clients
        line = self._line(hung_up)
        if line[:1] == b"-":
            return _Reply(error=line[1:].decode("utf-8", "replace")[:_SHOWN])
        if line in {b"+PONG", b"+OK"}:
            return _Reply()
        shown = line[:_SHOWN].decode("utf-8", "replace")
        raise ProbeError(
            ProblemKind.UNREADABLE,
            f"{self._place} does not answer as Redis does: {shown!r}",
            "is this the right port?",
        )

    def _line(self, hung_up: OSError | None) -> bytes:
        while b"\r\n" not in self._received:
            if len(self._received) > _LONGEST_LINE:
                break
            self._connection.settimeout(seconds_left(self._deadline))
            more = self._connection.recv(4096)
            if not more and not self._received:
                raise hung_up or ConnectionResetError
            if not more:
                break
            self._received += more
        line, _, self._received = self._received.partition(b"\r\n")
        return line


def _command(words: tuple[str, ...]) -> bytes:
    encoded = [word.encode() for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)


def _connect(place: Place, deadline: float) -> socket.socket:
    """Raises OSError."""
    if not place.path:
        return dial(place.host, place.port, deadline)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(seconds_left(deadline))
        connection.connect(place.path)
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
