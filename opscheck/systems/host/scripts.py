"""What the host probe's scripts print: sections, each under a line of its own."""

import re

KILLED = frozenset({124, 137, 143})
"""A command that `timeout` ended, as it reports it: GNU's on TERM and on KILL, busybox's on TERM."""
NOT_FOUND = 127
"""A command that is not there."""


def sections(output: str) -> dict[str, str]:
    """What follows each line such as `opscheck:space`, by its name."""
    parts = re.split(r"^opscheck:(\w+)\n", output, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))
