"""The indexes of a PostgreSQL server."""

from opscheck import Findings, Observe
from opscheck.core.isolation import judge_all
from opscheck.systems.postgres.indexes import PostgresIndexes
from opscheck.systems.postgres.readings.facts import report
from opscheck.systems.postgres.readings.indexes import duplicate_indexes, invalid_indexes, unused_indexes


def test_indexes_serve(expectation: PostgresIndexes, observe: Observe, findings: Findings) -> None:
    """
    Every index is valid, there once, and used.

    Each write has to keep every index of its table. One that failed to build serves no query (and a UNIQUE one does
    not keep duplicates out), and one that is there twice or that nobody uses costs time and space for nothing.
    """
    judge_all(
        lambda: report(findings, invalid_indexes(expectation, observe)),
        lambda: report(findings, duplicate_indexes(expectation, observe)),
        lambda: report(findings, unused_indexes(expectation, observe)),
    )
