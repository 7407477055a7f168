"""An orderly end of the command by any signal that ends it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(BaseException):
    """The command was ended by Ctrl-C, SIGTERM or a closed terminal."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)


@contextmanager
def ending_in_order() -> Iterator[None]:
    """
    Raise Ended at the first signal that ends a program. Later signals are ignored, so that cleaning up completes.

    Only in the main thread, which is where Python runs signal handlers.
    """

    def end(number: int, _frame: FrameType | None) -> None:
        for each in ENDINGS:
            signal.signal(each, signal.SIG_IGN)
        raise Ended(number)

    before = {each: signal.getsignal(each) for each in ENDINGS}
    # Ignored signals stay ignored: nohup, and background jobs of a script.
    heeded = {each: handler for each, handler in before.items() if handler != signal.SIG_IGN}
    try:
        for each in heeded:
            signal.signal(each, end)
        yield
    finally:
        for each, handler in heeded.items():
            signal.signal(each, handler)
