"""A small DNS server on a loopback address: it answers as it is told, or not at all."""

import os
import socket
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from ipaddress import ip_address

NO_ERROR, SERVER_FAILURE, NO_SUCH_NAME, REFUSED = 0, 2, 3, 5
_TYPES = {1: 4, 28: 6}

ADDRESS = f"127.53.{os.getpid() >> 8 & 255}.{os.getpid() & 127 | 1}"
"""Of this process alone, so that tests can run beside each other."""


@contextmanager
def dns_server(names: Mapping[str, Sequence[str]], *, code: int = NO_SUCH_NAME, silent: bool = False) -> Iterator[None]:
    """
    Answers on port 53 of `ADDRESS` for `names` with their addresses, for all others with `code`.

    Raises OSError where that port may not be had.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind((ADDRESS, 53))
        stop = threading.Event()
        listening.settimeout(0.05)

        def serve() -> None:
            while not stop.is_set():
                try:
                    asked, client = listening.recvfrom(512)
                except TimeoutError:
                    continue
                if not silent:
                    listening.sendto(_reply(asked, names, code), client)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(5)


def _reply(asked: bytes, names: Mapping[str, Sequence[str]], code: int) -> bytes:
    name, end = _name(asked)
    (kind,) = struct.unpack("!H", asked[end : end + 2])
    known = names.get(name.lower())
    found = [ip_address(one) for one in known or ()]
    records = [one for one in found if one.version == _TYPES.get(kind)]
    flags = 0x8580 | (NO_ERROR if known is not None else code)
    header = asked[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0)
    answer = b"".join(struct.pack("!HHHIH", 0xC00C, kind, 1, 5, len(one.packed)) + one.packed for one in records)
    return header + asked[12 : end + 4] + answer


def _name(asked: bytes) -> tuple[str, int]:
    labels, at = [], 12
    while length := asked[at]:
        labels.append(asked[at + 1 : at + 1 + length].decode())
        at += 1 + length
    return ".".join(labels), at + 1
