"""
A connection to a Redis or Valkey server through redis-py, in RESP2, which all versions support.

Only AUTH and the query itself are sent: an access list may refuse CLIENT SETINFO and HELLO.
"""

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from msgspec.structs import replace
from redis import Connection, exceptions
from redis._parsers import _RESP2Parser
from redis.backoff import NoBackoff
from redis.retry import Retry

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.redis.probe.address import Address, connect
from opscheck.systems.redis.servers import Refusal
from opscheck.transport.connect import seconds_left, unreachable

_LONGEST_REPLY = 1 << 20  # bytes; INFO has ten or twenty thousand
_SHOWN = 200
_STATES = set(Refusal) - {Refusal.MAX_CLIENTS, Refusal.OTHER}


class Refused(Exception):  # noqa: N818 - often a state of the server, which a check judges
    """The server runs and refuses; `error` is its own message."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error
        self.code = error.partition(" ")[0]

    @property
    def refusal(self) -> Refusal:
        """The state of the server that this error reports."""
        if self.error.startswith("ERR max number of clients"):
            return Refusal.MAX_CLIENTS
        return Refusal(self.code) if self.code in _STATES else Refusal.OTHER


class _Parser(_RESP2Parser):
    """redis-py's parser in Python, so that a reply is parsed alike with and without hiredis."""

    @classmethod
    def parse_error(cls, response: str) -> exceptions.ResponseError:
        """
        An error with the server's own message.

        redis-py removes the first word of errors that it has a class for, and NOAUTH and WRONGPASS share one.
        """
        return exceptions.ResponseError(response)


class _TimedSocket:
    """The socket interface that redis-py needs, with one deadline in total: redis-py's own timeouts are per read."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline
        self.heard = bytearray()
        """The data received since the last command."""

    def sendall(self, data: bytes) -> None:
        """Send all of it, unless the server closed the connection. Raises OSError."""
        self.heard.clear()
        self._connection.settimeout(seconds_left(self._deadline))
        # A message that the server sent before it closed can still be read: too many clients, a missing certificate.
        with suppress(ConnectionError, ssl.SSLEOFError):
            self._connection.sendall(data)

    def recv(self, size: int) -> bytes:
        """The next bytes, none at the end. Raises OSError, and InvalidResponse for an endless reply."""
        if len(self.heard) > _LONGEST_REPLY:
            raise exceptions.InvalidResponse
        self._connection.settimeout(seconds_left(self._deadline))
        received = self._connection.recv(size)
        self.heard += received
        return received

    def shutdown(self, how: int) -> None:
        """Shut the connection down. Raises OSError."""
        self._connection.shutdown(how)

    def close(self) -> None:
        """Close it; a second time does nothing."""
        self._connection.close()


class _Connection(Connection):
    """redis-py's connection over an open socket, without commands of redis-py's own."""

    def __init__(self, address: Address, timed_socket: _TimedSocket) -> None:
        super().__init__(  # type: ignore[no-untyped-call] # redis-py gives it no types
            username=address.user if address.password else "",
            password=address.password,
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


# redis-py's parser raises the last three for numbers that are malformed, or far too large.
_GARBLED = (
    exceptions.InvalidResponse,
    exceptions.AuthenticationError,  # AUTH was answered, with neither +OK nor an error
    ValueError,
    OverflowError,
    RecursionError,
)


class Client:
    """A connection on which commands and replies take turns, with one deadline in total."""

    def __init__(self, address: Address, context: ssl.SSLContext | None, deadline: float) -> None:
        self._place = address
        self._socket = _TimedSocket(connect(address, context, deadline), deadline)
        self._connection = _Connection(address, self._socket)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.disconnect()  # type: ignore[no-untyped-call] # redis-py gives it no types
        self._socket.close()

    def log_in(self) -> None:
        """Send AUTH, where the target has a password. Raises as `say`."""
        self._reply(self._connection.connect)

    def ping(self) -> None:
        """Send PING. Raises as `say`, and when the reply is neither PONG nor an error."""
        if self.say("PING") != b"PONG":
            raise self._not_redis()

    def say(self, *words: str) -> Any:
        """
        Send a command and return its reply.

        Raises Refused for an error, ProbeError for a malformed reply, and redis-py's TimeoutError.
        """

        def turn() -> Any:
            self._connection.send_command(*words)  # type: ignore[no-untyped-call] # redis-py gives it no types
            return self._connection.read_response()

        return self._reply(turn)

    def _reply(self, turn: Callable[[], Any]) -> Any:
        try:
            return turn()
        except exceptions.ResponseError as error:
            raise Refused(str(error)[:_SHOWN] or "-") from None
        except _GARBLED as error:
            raise self._not_redis() from error
        except exceptions.ConnectionError as error:
            if isinstance(error.__context__, ConnectionError):
                raise self._hung_up() from error
            if isinstance(error.__context__, OSError):
                raise unreachable(error.__context__, str(self._place)) from error
            if self._socket.heard:
                raise self._not_redis() from error
            raise self._hung_up() from error

    def _hung_up(self) -> ProbeError:
        """It closed the connection without a reply, as a TLS port does with a client that does not start TLS."""
        error = unreachable(ConnectionResetError(), str(self._place))
        if not self._place.tls and not self._place.path:
            advice = f"if it requires TLS, write rediss://; {error.problem.advice}"
            error.problem = replace(error.problem, advice=advice)
        return error

    def _not_redis(self) -> ProbeError:
        said = self._socket.heard.partition(b"\r\n")[0][:_SHOWN].decode("utf-8", "replace")
        # Only the first word where a password was sent: the reply may repeat it.
        shown = said.partition(" ")[0] if self._place.password else said
        return ProbeError(
            ProblemKind.UNREADABLE,
            f"{self._place} does not speak the Redis protocol: {shown!r}",
            "is this the right port?",
        )
