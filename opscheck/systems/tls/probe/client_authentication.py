"""
Detecting a server that refuses the client certificate.

In TLS 1.3 the refusal comes only after the handshake, and an accepting server sends nothing: it waits for a request.
"""

import socket
import ssl

from opscheck.transport.connect import explained, seconds_left

_MIN_WAIT_S, _MAX_WAIT_S = 0.1, 1.0
_HANDSHAKES = 2
"""Wait for a refusal as long as this many handshakes took; a server may check elsewhere first."""

# Other alerts are about the connection being closed without a close_notify.
_ABOUT_CERTIFICATE = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED", "DECRYPT_ERROR", "HANDSHAKE_FAILURE")


def refusal(connection: ssl.SSLSocket, address: str, took_s: float, deadline: float) -> tuple[str, str]:
    """The server's refusal, and advice; empty where it does not refuse."""
    if connection.version() != "TLSv1.3":
        return "", ""  # before, the handshake would have failed
    try:
        _receive(connection, max(_MIN_WAIT_S, _HANDSHAKES * took_s), deadline)
        # A server that is still busy sends its refusal before it closes the connection.
        socket.socket.shutdown(connection, socket.SHUT_WR)
    except ssl.SSLError as error:
        return explained(error, address)
    except OSError:
        return f"{address} closed the connection when it had seen the client certificate", "its log may say why"
    try:
        _receive(connection, _MAX_WAIT_S, deadline)
    except ssl.SSLError as error:
        return (
            explained(error, address) if any(word in (error.reason or "") for word in _ABOUT_CERTIFICATE) else ("", "")
        )
    except OSError:
        pass  # it closes the connection
    return "", ""


def _receive(connection: ssl.SSLSocket, timeout_s: float, deadline: float) -> None:
    """Wait for data. Raises OSError where the server refuses instead."""
    try:
        connection.settimeout(min(timeout_s, seconds_left(deadline)))
        if not connection.recv(1):
            raise ConnectionResetError
    except TimeoutError:
        return
