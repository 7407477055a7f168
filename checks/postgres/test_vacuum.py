"""Vacuum and analyze of a PostgreSQL server."""

from opscheck import Findings, Observe
from opscheck.core.isolation import judge_all
from opscheck.systems.postgres.readings.facts import report
from opscheck.systems.postgres.readings.tables import tables_behind
from opscheck.systems.postgres.readings.vacuum import oldest_databases
from opscheck.systems.postgres.readings.xmin import keeping_rows
from opscheck.systems.postgres.vacuum import PostgresVacuum


def test_vacuum_keeps_up(expectation: PostgresVacuum, observe: Observe, findings: Findings) -> None:
    """
    Vacuum and analyze keep up with what is written.

    Dead rows that stay make tables and every scan of them larger; old statistics make plans slow over night; and a
    server that runs out of transaction numbers stops to write. One forgotten transaction or slot can be behind it all.
    """
    judge_all(
        lambda: report(findings, oldest_databases(expectation, observe)),
        lambda: report(findings, keeping_rows(expectation, observe)),
        lambda: report(findings, tables_behind(expectation, observe)),
    )
