"""What the drill tells the process that asked for it."""

import time
from contextlib import suppress
from typing import BinaryIO

import msgspec

from opscheck.systems.recovery.drilling.messages import Did, Message

_TELLS_EVERY_S = 0.2


class Teller:
    """Writes a line per message. That nobody listens any more is met elsewhere."""

    def __init__(self, output: BinaryIO) -> None:
        self._output = output
        self._told_at = 0.0

    def tell(self, message: Message) -> None:
        """Say this."""
        with suppress(OSError, ValueError):
            self._output.write(msgspec.json.encode(message) + b"\n")
            self._output.flush()

    def did(self, size: float) -> None:
        """Say how far the phase is, now and then."""
        if time.monotonic() - self._told_at >= _TELLS_EVERY_S:
            self._told_at = time.monotonic()
            self.tell(Did(size=size))
