"""`python -m opscheck.recovery`."""

import sys

import msgspec

from opscheck.probes.drills.messages import Task
from opscheck.recovery.leash import Leash
from opscheck.recovery.performing import perform
from opscheck.recovery.telling import Teller


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
