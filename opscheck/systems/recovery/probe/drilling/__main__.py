"""`python -m opscheck.systems.recovery.probe.drilling`."""

import sys

import msgspec

from opscheck.systems.recovery.probe.drilling.messages import ProgressWriter, Task
from opscheck.systems.recovery.probe.drilling.runner import perform
from opscheck.systems.recovery.probe.drilling.watchdog import Watchdog


def main() -> int:
    """Run the drill whose task is on standard input."""
    line = sys.stdin.buffer.readline()
    if not line.endswith(b"\n"):
        return 1  # the process that starts drills has ended
    task = msgspec.json.decode(line, type=Task)
    progress = ProgressWriter(sys.stdout.buffer)
    with Watchdog(task) as watchdog:
        progress.send(perform(task, progress, watchdog))
    return 0


if __name__ == "__main__":
    sys.exit(main())
