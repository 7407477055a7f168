"""How a PostgreSQL server is set up."""

from functools import partial

from opscheck import Findings, Observe
from opscheck.core.isolation import judge_all
from opscheck.systems.postgres.readings import releases, server_state, settings
from opscheck.systems.postgres.readings.facts import report
from opscheck.systems.postgres.settings import PostgresSettings

_GROUPS = (
    settings.wrong_settings,
    settings.pending_restarts,
    settings.file_errors,
    server_state.missing_checksums,
    server_state.checksum_failures,
    server_state.changed_collations,
    server_state.changed_column_collations,
    server_state.invalid_databases,
    server_state.wrong_extensions,
    releases.end_of_life,
    releases.minor_releases,
)


def test_the_server_is_set_up_as_it_should_be(
    expectation: PostgresSettings, observe: Observe, findings: Findings
) -> None:
    """
    The server is set up as it should be.

    A setting that somebody changed, or that waits for a restart, surprises at the worst moment: commits that were not
    on disk, an index that misses rows since the last upgrade of the system, a version that nobody fixes any more.
    """
    judge_all(*(partial(report, findings, group(expectation, observe)) for group in _GROUPS))
    faults = len(findings.violations)
    findings.measure("faults", faults, limit=0, margin=-faults)
