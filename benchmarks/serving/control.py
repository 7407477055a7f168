"""How a server program and the benchmark talk: one line of JSON where it is, then one for each line it is sent."""

import json
import sys
from collections.abc import Callable, Mapping

Commands = Mapping[str, Callable[[], object]]


def attend(place: Mapping[str, object], commands: Commands | None = None) -> None:
    """Say where the server is, then do what is asked, until the benchmark lets go of standard input."""
    _say(place)
    for line in sys.stdin:
        _say((commands or {})[line.strip()]())


def _say(what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()
