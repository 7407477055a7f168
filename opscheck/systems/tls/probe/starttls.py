"""STARTTLS handshakes for SMTP, IMAP, POP3, LDAP and PostgreSQL."""

import re
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from opscheck.systems.tls.handshake import StartTls
from opscheck.transport.connect import read_exactly, seconds_left

_LONGEST_LINE, _LONGEST_MESSAGE = 4096, 16 * 1024
_SHOWN = 100
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
_LDAP_OID = b"1.3.6.1.4.1.1466.20037"
# An LDAPMessage with the number 1 and an ExtendedRequest with the name of the operation.
_LDAP_REQUEST = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x16" + _LDAP_OID
_BER_SEQUENCE, _BER_INTEGER, _BER_ENUMERATED, _LDAP_RESPONSE = 0x30, 0x02, 0x0A, 0x78


class NoStartTls(Exception):  # noqa: N818 - a state of the server
    """The server does not start TLS; its text continues a sentence that begins with the address."""

    def __init__(self, text: str, advice: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.advice = advice


@dataclass(frozen=True)
class PlainConnection:
    """A connection before TLS. It reads no further than the answer: more data belongs to TLS."""

    connection: socket.socket
    deadline: float

    def send(self, data: bytes) -> None:
        """Raises OSError."""
        self.connection.settimeout(seconds_left(self.deadline))
        self.connection.sendall(data)

    def receive(self, count: int) -> bytes:
        """Exactly `count` bytes. Raises OSError."""
        return read_exactly(self.connection, count, self.deadline)

    def line(self) -> str:
        """One line. Raises OSError, and NoStartTls for an endless line."""
        received = bytearray()
        while not received.endswith(b"\n"):
            if len(received) > _LONGEST_LINE:
                raise NoStartTls(f"sent an endless line: {_shown(received)}", _OTHER)
            received += self.receive(1)
        return received.decode("utf-8", "replace").rstrip("\r\n")


_OTHER = "is it another protocol, or TLS without STARTTLS?"


def start_tls(connection: socket.socket, protocol: StartTls, deadline: float) -> None:
    """Request TLS from the server. Raises NoStartTls and OSError."""
    _PROTOCOLS[protocol](PlainConnection(connection, deadline))


def _postgres(connection: PlainConnection) -> None:
    connection.send(_SSL_REQUEST)
    answer = connection.receive(1)
    if answer == b"N":
        raise NoStartTls("has no TLS (ssl = off)", "set ssl, ssl_cert_file and ssl_key_file in postgresql.conf")
    if answer != b"S":
        raise NoStartTls(f"answered an SSLRequest with {_shown(answer)}", "is it a PostgreSQL server?")


def _smtp(connection: PlainConnection) -> None:
    _expect("220", _reply(connection), "a new connection")
    connection.send(b"EHLO opscheck.invalid\r\n")
    offered = _reply(connection)
    _expect("250", offered, "EHLO")
    if not any(line[4:].strip().upper() == "STARTTLS" for line in offered):
        raise NoStartTls("does not offer STARTTLS", "configure a certificate and its key on the server")
    connection.send(b"STARTTLS\r\n")
    _expect("220", _reply(connection), "STARTTLS")


def _reply(connection: PlainConnection) -> list[str]:
    """All lines of an SMTP reply; the last has no dash after its number."""
    lines = [connection.line()]
    while re.match(r"\d{3}-", lines[-1]) and len(lines) < 1000:  # noqa: PLR2004 - more than any server sends
        lines.append(connection.line())
    return lines


def _imap(connection: PlainConnection) -> None:
    _expect("* OK", [connection.line()], "a new connection")
    connection.send(b"a1 STARTTLS\r\n")
    line = connection.line()
    while line.startswith("* "):
        line = connection.line()
    _expect("a1 OK", [line], "STARTTLS")


def _pop3(connection: PlainConnection) -> None:
    _expect("+OK", [connection.line()], "a new connection")
    connection.send(b"STLS\r\n")
    _expect("+OK", [connection.line()], "STLS")


def _expect(start: str, lines: list[str], request: str) -> None:
    reply = lines[-1]
    if not reply.upper().startswith(start.upper()):
        raise NoStartTls(f"answered {request} with {_shown(reply.encode())}", _OTHER)


def _ldap(connection: PlainConnection) -> None:
    connection.send(_LDAP_REQUEST)
    code = _result_code(_ldap_message(connection))
    if code is None:
        raise NoStartTls("does not speak LDAP", _OTHER)
    if code != 0:
        raise NoStartTls(f"refuses StartTLS (LDAP result {code})", "configure a certificate and its key on the server")


def _ldap_message(connection: PlainConnection) -> bytes:
    """The content of an LDAPMessage; empty for anything else. Raises OSError."""
    kind, length = connection.receive(2)
    if kind == _BER_SEQUENCE and length & 0x80:
        length = int.from_bytes(connection.receive(min(length & 0x7F, 4)), "big")
    return connection.receive(length) if kind == _BER_SEQUENCE and length <= _LONGEST_MESSAGE else b""


def _result_code(message: bytes) -> int | None:
    """The result code of an ExtendedResponse; None for anything else."""
    try:
        kind, number, rest = _element(message)
        response, content, _ = _element(rest)
        enumerated, code, _ = _element(content)
    except (IndexError, ValueError):
        return None
    if (kind, response, enumerated) != (_BER_INTEGER, _LDAP_RESPONSE, _BER_ENUMERATED) or not number:
        return None
    return int.from_bytes(code, "big")


def _element(data: bytes) -> tuple[int, bytes, bytes]:
    """The first element's kind and content, and the rest of the data. Raises IndexError and ValueError."""
    kind, length, start = data[0], data[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[2:start], "big")
    if start + length > len(data):
        raise ValueError(length)
    return kind, data[start : start + length], data[start + length :]


def _shown(received: bytes | bytearray) -> str:
    return repr(bytes(received[:_SHOWN]).decode("utf-8", "replace"))


_PROTOCOLS: Mapping[StartTls, Callable[[PlainConnection], None]] = {
    StartTls.POSTGRES: _postgres,
    StartTls.SMTP: _smtp,
    StartTls.IMAP: _imap,
    StartTls.POP3: _pop3,
    StartTls.LDAP: _ldap,
}
