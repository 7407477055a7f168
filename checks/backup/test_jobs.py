"""Whatever makes the backups: cron jobs, Velero, pgBackRest, Barman."""

from opscheck import Findings, Observe
from opscheck.systems.backup import barman_backups, cronjob_backups, pgbackrest_backups, velero_backups
from opscheck.systems.backup.jobs import BackupJobs
from opscheck.systems.backup.last_backups import Made, require_all, tell, with_some
from opscheck.systems.backup.velero import ListStorageLocations, ListVeleroBackups, ListVeleroSchedules
from opscheck.systems.kubernetes.batch import ListCronJobs, ListJobs
from opscheck.systems.kubernetes.selection import count_matches, listed, matching
from opscheck.systems.kubernetes.warnings import Warnings


def test_backups_are_made(expectation: BackupJobs, observe: Observe, findings: Findings) -> None:
    """
    The last good backup began a short enough time ago, whatever makes the backups.

    What was written since then is lost with the system. A tool that stops says so to nobody: its jobs fail at night,
    are suspended for an afternoon and forgotten, or hang and keep the next from starting.
    """
    made = _made(expectation, observe, findings)
    tell(expectation, made, findings)
    require_all(made, next(iter(expectation.looks_at())))


def _made(expectation: BackupJobs, observe: Observe, findings: Findings) -> Made:
    match expectation.tool:
        case "cronjob":
            return _made_by_cronjobs(expectation, observe, findings)
        case "velero":
            return _made_by_velero(expectation, observe, findings)
        case "pgbackrest":
            return pgbackrest_backups.made_by(expectation, observe(expectation.pgbackrest))
        case "barman":
            return barman_backups.made_by(expectation, observe(expectation.barman))


def _made_by_cronjobs(expectation: BackupJobs, observe: Observe, findings: Findings) -> Made:
    of = expectation.cronjobs
    there, jobs = listed(observe, of.lists(ListCronJobs)), listed(observe, of.lists(ListJobs))
    meant = matching(of, there)
    count_matches(of, there, meant, findings, kind="cron jobs")
    made = cronjob_backups.made_by(expectation, meant, jobs, Warnings(of, observe), observe.now)
    return with_some(made, meant, "cron job", "suspended")


def _made_by_velero(expectation: BackupJobs, observe: Observe, findings: Findings) -> Made:
    of = expectation.schedules
    there = listed(observe, of.lists(ListVeleroSchedules))
    backups, locations = listed(observe, of.lists(ListVeleroBackups)), listed(observe, of.lists(ListStorageLocations))
    meant = matching(of, there)
    count_matches(of, there, meant, findings, kind="schedules")
    made = velero_backups.made_by(expectation, meant, velero_backups.Around(backups, locations), observe.now)
    return with_some(made, meant, "schedule", "paused")
