"""memcached.connections."""

from opscheck_memcached.connections import FIND_CLIENTS, MemcachedConnections
from opscheck_memcached.stats import ReadStats

from opscheck import Findings, Observe, Percentage


def test_connections(expectation: MemcachedConnections, observe: Observe, findings: Findings) -> None:
    """
    The server accepts connections, and they stay under its limit.

    At the limit memcached accepts no connection, and new clients wait or fail.
    """
    stats = observe(ReadStats(expectation.target.name))
    findings.grade(
        "connections used",
        Percentage(100 * stats.connections / stats.max_connections),
        expectation.used,
        subject=expectation.target.address,
        detail=f"{stats.connections} of {stats.max_connections}",
        remedies=[FIND_CLIENTS],
    )
