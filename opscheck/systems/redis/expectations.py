"""Imports every concern, so that the names of their checks are known."""

from opscheck.systems.redis import (  # noqa: F401 - imported for what they register
    cache,
    clients,
    memory,
    persistence,
    ping,
    replication,
)
