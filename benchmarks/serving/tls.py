"""
TLS on COUNT ports, each with a certificate of one authority, and each SECONDS late: `python tls.py 200 0.1 FOLDER`.

It waits before it begins to shake hands, for any number of connections together, in one thread. FOLDER gets `ca.pem`.
"""

import asyncio
import contextlib
import socket
import ssl
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import trustme
from control import attend

_BACKLOG = 128
_HOST = "127.0.0.1"


def _context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(_HOST).configure_cert(context)
    return context


async def _serve(listeners: Sequence[socket.socket], context: ssl.SSLContext, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    begun: set[asyncio.Task[None]] = set()

    async def shake_hands(connection: socket.socket) -> None:
        await asyncio.sleep(seconds)
        with contextlib.suppress(OSError):  # a client that has seen enough
            await loop.connect_accepted_socket(asyncio.Protocol, connection, ssl=context)

    async def accept(listener: socket.socket) -> None:
        while True:
            connection, _ = await loop.sock_accept(listener)
            task = asyncio.create_task(shake_hands(connection))
            begun.add(task)
            task.add_done_callback(begun.discard)

    await asyncio.gather(*(accept(one) for one in listeners))


def main(count: int, seconds: float, folder: Path) -> None:
    """Serve in a thread until the benchmark lets go."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    listeners = [socket.create_server((_HOST, 0), backlog=_BACKLOG) for _ in range(count)]
    for one in listeners:
        one.setblocking(False)
    serving = _serve(listeners, _context(authority), seconds)
    threading.Thread(target=lambda: asyncio.run(serving), daemon=True).start()
    attend({"host": _HOST, "ports": [one.getsockname()[1] for one in listeners]})


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]))
