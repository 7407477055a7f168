"""
Talks with a Redis or Valkey server through redis-py, in their protocol's second version, which all of them speak.

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


class Refused(Exception):  # noqa: N818 - often a state of the server, and the very thing that is judged
    """The server is there and refuses; `error` is in its own words."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error
        self.code = error.partition(" ")[0]

    @property
    def refusal(self) -> Refusal:
        """The state of the server that this error stands for."""
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
    """redis-py's, over a socket that is open already, and with no command sent on it that was not requested."""

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


# The last three are what redis-py's parser runs into where a server's numbers are none, or far too large.
_GARBLED = (
    exceptions.InvalidResponse,
    exceptions.AuthenticationError,  # AUTH was answered, with neither +OK nor an error
    ValueError,
    OverflowError,
    RecursionError,
)


class Client:
    """A connection on which commands and replies take turns, with one deadline for all of it."""

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
        """Say AUTH, where the target has a password. Raises as `say`."""
        self._reply(self._connection.connect)

    def ping(self) -> None:
        """Say PING. Raises as `say`, and when the reply is neither PONG nor an error."""
        if self.say("PING") != b"PONG":
            raise self._not_redis()

    def say(self, *words: str) -> Any:
        """
        Send a command and return its reply.

        Raises Refused for an error, ProbeError when it is no reply, and redis-py's TimeoutError.
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
            advice = f"does it want TLS? then write rediss://; {error.problem.advice}"
            error.problem = replace(error.problem, advice=advice)
        return error

    def _not_redis(self) -> ProbeError:
        said = self._socket.heard.partition(b"\r\n")[0][:_SHOWN].decode("utf-8", "replace")
        # Only the first word where a password was sent: the reply may repeat it.
        shown = said.partition(" ")[0] if self._place.password else said
        return ProbeError(
            ProblemKind.UNREADABLE,
            f"{self._place} does not answer as Redis does: {shown!r}",
            "is this the right port?",
        )
