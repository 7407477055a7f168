"""The last good backup of each of Barman's servers."""

from collections.abc import Iterator
from datetime import UTC, datetime

from opscheck.core.findings import Findings, Observe
from opscheck.core.record import Finding
from opscheck.core.words import counted, some
from opscheck.systems.backup.jobs import SERVER, SERVER_BACKUP, SERVER_FAILED, SERVER_MISSING, BackupJobs
from opscheck.systems.backup.last_backups import LastBackup, Subject, ToolReport
from opscheck.systems.backup.tools import BarmanBackup, BarmanServer

_GOOD = "DONE"
_FAILED = "FAILED"
# Types that need another backup for a restore. In old versions, which have only full backups, the type is empty.
_DIFFERENCES = frozenset({"incremental"})
_NEVER = datetime.min.replace(tzinfo=UTC)


def barman_report(expectation: BackupJobs, observe: Observe, findings: Findings) -> ToolReport:
    """The report on the servers that the policy names, or on all."""
    catalogue = observe(expectation.barman)
    report = ToolReport(
        expectation, findings, catalogue.taken_at, advice="see what `barman show-backup` says of it there by hand"
    )
    servers, wanted = catalogue.servers, expectation.servers
    for server in report.named("Barman", "server", servers, wanted, SERVER_MISSING):
        _add(expectation, server, report)
    return report


def _newest_good(server: BarmanServer, *, full: bool = False) -> BarmanBackup | None:
    """The last complete backup by its end; Barman's lists are not sorted."""
    good = (one for one in server.backups if one.status == _GOOD and not (full and one.type in _DIFFERENCES))
    return max(good, key=lambda one: (one.ended_at or _NEVER, one.id), default=None)


def _add(expectation: BackupJobs, server: BarmanServer, report: ToolReport) -> None:
    newest, full = _newest_good(server), _newest_good(server, full=True)
    silent = next((one for one in (newest, full) if one is not None and one.began_at is None), None)
    if silent is not None:
        report.unknown.append(f"server {server.name}: Barman does not say when {silent.id} began")
        return
    subject = Subject(expectation, f"server {server.name}", (SERVER,), {"server": server.name})
    # A failed backup is the newest one when it began after the last good one. Ids are start times.
    failed = max((one.id for one in server.backups if one.status == _FAILED), default="")
    problems: tuple[Finding, ...] = ()
    if failed and (newest is None or failed > newest.id):
        observed, facts = f"its newest backup {failed} is {_FAILED}", {"failed_backup": failed}
        problems = (subject.finding(observed, _GOOD, SERVER_FAILED, facts=facts),)
    report.last_backups.append(
        LastBackup(
            subject=subject,
            began=newest.began_at if newest else None,
            detail=_detail(server, newest),
            full_began=full.began_at if full else None,
            copies=sum(one.status == _GOOD for one in server.backups),
            problems=problems,
            evidence=tuple(_evidence(server, newest)),
            stale_remedies=(*([SERVER_FAILED] if problems else []), SERVER_BACKUP),
        )
    )


def _detail(server: BarmanServer, newest: BarmanBackup | None) -> str:
    if newest is not None:
        return f"{newest.id}, {newest.type}" if newest.type else newest.id
    states = sorted({one.status for one in server.backups})
    return f"{counted(len(server.backups), 'backup')}, {some(states)}" if states else "none was ever made"


def _evidence(server: BarmanServer, newest: BarmanBackup | None) -> Iterator[str]:
    for one in sorted(server.backups, key=lambda one: one.id):
        if one.status not in {_GOOD, _FAILED} and (newest is None or one.id > newest.id):
            yield f"{one.id} is {one.status}"
