"""
Whether a server accepts the client certificate that it was shown.

In TLS 1.3 it says so only after the handshake, and where it does accept it, it says nothing: it waits for a request.
"""

import socket
import ssl

from opscheck.transport.connect import explained, seconds_left

_SHORTEST_S, _LONGEST_S = 0.1, 1.0
_HANDSHAKES = 2
"""A server has refused after as long as it took for so many handshakes, unless it asks somebody else first."""

# Other alerts are about being left without a goodbye.
_ABOUT_IT = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED", "DECRYPT_ERROR", "HANDSHAKE_FAILURE")


def refusal(connection: ssl.SSLSocket, place: str, took_s: float, deadline: float) -> tuple[str, str]:
    """What the server says against it, and what to do; empty where it says nothing."""
    if connection.version() != "TLSv1.3":
        return "", ""  # before, the handshake would have failed
    try:
        _hear(connection, max(_SHORTEST_S, _HANDSHAKES * took_s), deadline)
        # A server that is still busy tells what it thinks of us before it lets us go.
        socket.socket.shutdown(connection, socket.SHUT_WR)
    except ssl.SSLError as error:
        return explained(error, place)
    except OSError:
        return f"{place} closed the connection when it had seen the client certificate", "its log may say why"
    try:
        _hear(connection, _LONGEST_S, deadline)
    except ssl.SSLError as error:
        return explained(error, place) if any(word in (error.reason or "") for word in _ABOUT_IT) else ("", "")
    except OSError:
        pass  # it lets us go
    return "", ""


def _hear(connection: ssl.SSLSocket, patience_s: float, deadline: float) -> None:
    """Wait for whatever it says. Raises OSError where that is a refusal."""
    try:
        connection.settimeout(min(patience_s, seconds_left(deadline)))
        if not connection.recv(1):
            raise ConnectionResetError
    except TimeoutError:
        return
