"""
A port that drops packets: `python dead.py`.

It listens and never accepts. Once its queue is full, Linux drops further attempts to connect, as a firewall would.
"""

import socket

from control import attend

_ENOUGH = 16
_SILENT_S = 0.5


def _fill(address: tuple[str, int]) -> list[socket.socket]:
    """Connections until one is not answered. Raises RuntimeError when all are."""
    opened = []
    for _ in range(_ENOUGH):
        connection = socket.socket()
        connection.settimeout(_SILENT_S)
        opened.append(connection)
        try:
            connection.connect(address)
        except TimeoutError:
            return opened
    raise RuntimeError(f"{address} still accepts connections after {_ENOUGH}")


def main() -> None:
    """Be dead until the benchmark lets go."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = _fill(address)
        attend({"url": f"http://127.0.0.1:{address[1]}"})
        for connection in waiting:
            connection.close()


if __name__ == "__main__":
    main()
