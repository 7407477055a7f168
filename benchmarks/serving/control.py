"""The protocol of a server program: one line of JSON with its address, then one for each line that it receives."""

import json
import sys
from collections.abc import Callable, Mapping

Commands = Mapping[str, Callable[[], object]]


def attend(place: Mapping[str, object], commands: Commands | None = None) -> None:
    """Print the address of the server, then run commands until the benchmark closes standard input."""
    _say(place)
    for line in sys.stdin:
        _say((commands or {})[line.strip()]())


def _say(what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()
