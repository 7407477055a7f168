"""Imports every concern, so that the names of their checks are known."""

from opscheck.systems.postgres import (  # noqa: F401 - imported for what they register
    access,
    activity,
    archiver,
    connections,
    indexes,
    locks,
    queries,
    query,
    replication,
    settings,
    size,
    vacuum,
)
