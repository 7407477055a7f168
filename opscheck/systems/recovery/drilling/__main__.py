"""`python -m opscheck.systems.recovery.drilling`."""

import sys

import msgspec

from opscheck.systems.recovery.drilling.messages import Task
from opscheck.systems.recovery.drilling.progress import Teller
from opscheck.systems.recovery.drilling.runner import perform
from opscheck.systems.recovery.drilling.watchdog import Leash


def main() -> int:
    """Do the drill that standard input tells."""
    line = sys.stdin.buffer.readline()
    if not line.endswith(b"\n"):
        return 1  # whoever would have asked for a drill is gone
    task = msgspec.json.decode(line, type=Task)
    teller = Teller(sys.stdout.buffer)
    with Leash(task) as leash:
        teller.tell(perform(task, teller, leash))
    return 0


if __name__ == "__main__":
    sys.exit(main())
