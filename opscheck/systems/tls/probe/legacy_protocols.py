"""
Detection of servers that accept an old version of TLS.

The ClientHello is built here, and only the version of the answer is read. Current builds of OpenSSL can rarely make
such an offer, and an unsupported offer looks like a refusal by the server.
"""

import secrets
import socket
import struct
import time

from opscheck.core.units import format_duration
from opscheck.systems.tls.handshake import LegacyOffer, Protocol
from opscheck.transport.connect import read_exactly, seconds_left

_NUMBERS = {Protocol.SSLV3: 0x0300, Protocol.TLSV1: 0x0301, Protocol.TLSV1_1: 0x0302, Protocol.TLSV1_2: 0x0303}
_VERSIONS = {number: protocol for protocol, number in _NUMBERS.items()}

_ALERT, _HANDSHAKE = 21, 22
_WARNING = b"\1"  # such as an unknown SNI, after which the handshake continues
_CLIENT_HELLO, _SERVER_HELLO = 1, 2

# As many as possible, so that the version is the only reason to refuse.
_CIPHERS = (
    *(0xC02B, 0xC02C, 0xC02F, 0xC030, 0xCCA8, 0xCCA9, 0xCCAA, 0x009E, 0x009F, 0x009C, 0x009D),  # of TLS 1.2 alone
    *(0xC023, 0xC024, 0xC027, 0xC028, 0x0067, 0x006B, 0x003C, 0x003D),
    *(0xC009, 0xC00A, 0xC013, 0xC014, 0x0033, 0x0039, 0x0032, 0x0038, 0x002F, 0x0035, 0x0041, 0x0084),
    *(0xC008, 0xC012, 0x0016, 0x0013, 0x000A, 0xC007, 0xC011, 0x0005, 0x0004),
    0x00FF,
)
_GROUPS = (0x001D, 0x0017, 0x0018, 0x0019, 0x0100, 0x0101)
_SIGNATURES = (0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0203, 0x0201)
_SERVER_NAME, _SUPPORTED_GROUPS, _POINT_FORMATS, _SIGNATURE_ALGORITHMS = 0, 10, 11, 13


def newest_before(floor: Protocol) -> Protocol:
    """The newest version that is older than `floor`."""
    return [protocol for protocol in Protocol if protocol.is_older_than(floor)][-1]


def offer(connection: socket.socket, newest: Protocol, server_name: str, deadline: float) -> LegacyOffer:
    """Offer versions up to `newest`, and read the version that the server accepts."""
    started = time.monotonic()
    try:
        connection.settimeout(seconds_left(deadline))
        connection.sendall(client_hello(newest, server_name))
        kind, body = _record(connection, deadline)
        if (kind, body[:1]) == (_ALERT, _WARNING):
            kind, body = _record(connection, deadline)
    except TimeoutError:
        waited = format_duration(time.monotonic() - started)
        return LegacyOffer(unknown=f"no answer to an offer of {newest} in {waited}")
    except OSError:
        return LegacyOffer()  # closed connection: a refusal
    if kind == _ALERT:
        return LegacyOffer()
    if kind != _HANDSHAKE or len(body) < 6 or body[0] != _SERVER_HELLO:  # noqa: PLR2004 - up to the version
        return LegacyOffer(unknown=f"the answer to an offer of {newest} is not TLS")
    (version,) = struct.unpack("!H", body[4:6])
    return LegacyOffer(
        accepted=_VERSIONS.get(version), unknown="" if version in _VERSIONS else f"it answers {version:#06x}"
    )


def client_hello(newest: Protocol, server_name: str) -> bytes:
    """The ClientHello of a client that supports versions up to `newest`."""
    body = struct.pack("!H", _NUMBERS[newest]) + secrets.token_bytes(32) + b"\0"
    body += _list("!H", struct.pack(f"!{len(_CIPHERS)}H", *_CIPHERS)) + b"\1\0"
    body += _list("!H", b"".join(_extensions(newest, server_name)))
    message = bytes([_CLIENT_HELLO]) + len(body).to_bytes(3, "big") + body
    return struct.pack("!BH", _HANDSHAKE, min(_NUMBERS[newest], 0x0301)) + _list("!H", message)


def _extensions(newest: Protocol, server_name: str) -> list[bytes]:
    named = _list("!H", b"\0" + _list("!H", server_name.encode("ascii", "ignore")))
    found = [_extension(_SERVER_NAME, named)] if server_name else []
    found.append(_extension(_SUPPORTED_GROUPS, _list("!H", struct.pack(f"!{len(_GROUPS)}H", *_GROUPS))))
    found.append(_extension(_POINT_FORMATS, b"\1\0"))
    if newest is Protocol.TLSV1_2:
        schemes = struct.pack(f"!{len(_SIGNATURES)}H", *_SIGNATURES)
        found.append(_extension(_SIGNATURE_ALGORITHMS, _list("!H", schemes)))
    return found


def _extension(number: int, data: bytes) -> bytes:
    return struct.pack("!H", number) + _list("!H", data)


def _list(length: str, data: bytes) -> bytes:
    return struct.pack(length, len(data)) + data


def _record(connection: socket.socket, deadline: float) -> tuple[int, bytes]:
    """The type of a record, and its first bytes. Raises OSError."""
    kind, _, length = struct.unpack("!BHH", read_exactly(connection, 5, deadline))
    return kind, read_exactly(connection, min(length, 6), deadline)
