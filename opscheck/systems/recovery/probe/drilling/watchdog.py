"""Ends a drill: at its timeout, by a signal, or when the process that started it has ended."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Self

from opscheck.systems.recovery.probe.drilling.cleanup import drop_database, remove_folder
from opscheck.systems.recovery.probe.drilling.errors import Ended, Late
from opscheck.systems.recovery.probe.drilling.messages import Task, scratch_dsn

_ENDINGS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_CLEANING_TAKES_AT_MOST_S = 20.0


class Watchdog:
    """
    Interrupts the drill with `Late` or `Ended`, even in a blocking call, until it is stopped for cleaning.

    When cleaning takes too long, it removes everything that the drill made, and kills the drill.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._stopped = False

    def __enter__(self) -> Self:
        for ending in _ENDINGS:
            signal.signal(ending, self._interrupts(Ended))
        signal.signal(signal.SIGALRM, self._interrupts(Late))
        signal.setitimer(signal.ITIMER_REAL, self._task.query.within_s)
        threading.Thread(target=self._watch_input, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop interrupting the drill, which is cleaning."""
        self._stopped = True
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _interrupts(self, how: type[BaseException]) -> Callable[[int, FrameType | None], None]:
        def interrupt(_number: int, _frame: FrameType | None) -> None:
            if not self._stopped:
                self._stopped = True  # once: cleaning follows
                timer = threading.Timer(_CLEANING_TAKES_AT_MOST_S, self._remove_all)
                timer.daemon = True
                timer.start()
                raise how

        return interrupt

    def _watch_input(self) -> None:
        while os.read(sys.stdin.fileno(), 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    def _remove_all(self) -> None:
        remove_folder(Path(self._task.folder))
        dsn = scratch_dsn(self._task.drill_place())
        if dsn is not None:
            drop_database(dsn, self._task.database)
        os.killpg(os.getpgid(0), signal.SIGKILL)
