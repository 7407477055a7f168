"""memcached.memory."""

from opscheck_memcached.memory import MORE_MEMORY, MemcachedMemory
from opscheck_memcached.stats import ReadStats

from opscheck import Findings, Observe, Percentage, interval


def test_memory(expectation: MemcachedMemory, observe: Observe, findings: Findings) -> None:
    """
    Items fit in the cache's memory.

    A cache that evicts items before they expire sends its clients to the database behind it.
    """
    query = ReadStats(expectation.target.name)
    stats = observe(query)
    subject = expectation.target.address
    findings.grade(
        "memory used",
        Percentage(100 * stats.used / stats.limit),
        expectation.used,
        subject=subject,
        detail=f"{stats.used} of {stats.limit} bytes",
        remedies=[MORE_MEMORY],
    )
    if expectation.evictions is not None:
        since = interval(expectation, query, observe)
        evicted = since.now.evictions - (since.earlier.evictions if since.earlier else 0)
        findings.grade(
            "evictions", evicted, expectation.evictions, subject=subject, detail=since.text, remedies=[MORE_MEMORY]
        )
