"""The last good backups of Barman: one of each server."""

from collections.abc import Iterator
from datetime import UTC, datetime

from opscheck.core.record import Finding
from opscheck.core.words import counted, some
from opscheck.systems.backup.jobs import NOTHING, SERVER, SERVER_BACKUP, SERVER_FAILED, SERVER_MISSING, BackupJobs
from opscheck.systems.backup.last_backups import LastBackup, Subject, ToolReport, missing_names
from opscheck.systems.backup.tools import BarmanBackup, BarmanCatalogue, BarmanServer

GOOD = "DONE"
_FAILED = "FAILED"
# In old versions, which know no other types, the type is empty.
_DIFFERENCES = frozenset({"incremental"})
_NEVER = datetime.min.replace(tzinfo=UTC)


def barman_report(expectation: BackupJobs, catalogue: BarmanCatalogue) -> ToolReport:
    """The servers that the policy names, or all."""
    report = ToolReport(catalogue.taken_at, advice="see what `barman show-backup` says of it there by hand")
    worst = expectation.worst_severity
    for name in missing_names(expectation.servers, (server.name for server in catalogue.servers)):
        there = some(server.name for server in catalogue.servers) or "none at all"
        missing = Subject(expectation, f"server {name}", (SERVER_MISSING,), {"server": name})
        what, wanted = "Barman knows no such server", "a server with backups"
        report.findings.append(missing.finding(what, wanted, severity=worst, evidence=(f"servers there: {there}",)))
    named = [one for one in catalogue.servers if expectation.servers is None or one.name in expectation.servers]
    if not named and expectation.servers is None:
        host = Subject(expectation, expectation.host)
        report.findings.append(host.finding("Barman knows no server", "at least one", NOTHING, severity=worst))
    for server in named:
        _add(expectation, server, report)
    report.counts["servers"] = len(named), expectation.host
    return report


def is_full(backup: BarmanBackup) -> bool:
    """Whether it can be restored without another."""
    return backup.type not in _DIFFERENCES


def newest_good(server: BarmanServer, *, full: bool = False) -> BarmanBackup | None:
    """The last complete one by its end; lists have no order."""
    good = (one for one in server.backups if one.status == GOOD and (is_full(one) or not full))
    return max(good, key=lambda one: (one.ended_at or _NEVER, one.id), default=None)


def _add(expectation: BackupJobs, server: BarmanServer, report: ToolReport) -> None:
    newest, full = newest_good(server), newest_good(server, full=True)
    silent = next((one for one in (newest, full) if one is not None and one.began_at is None), None)
    if silent is not None:
        report.unknown.append(f"server {server.name}: Barman does not say when {silent.id} began")
        return
    subject = Subject(expectation, f"server {server.name}", (SERVER,), {"server": server.name})
    # The newest backup failed when no good one came after it. Ids are the times of their beginnings.
    failed = max((one.id for one in server.backups if one.status == _FAILED), default="")
    problems: tuple[Finding, ...] = ()
    if failed and (newest is None or failed > newest.id):
        observed, facts = f"its newest backup {failed} is {_FAILED}", {"failed_backup": failed}
        problems = (subject.finding(observed, GOOD, SERVER_FAILED, facts=facts),)
    report.last_backups.append(
        LastBackup(
            subject=subject,
            began=newest.began_at if newest else None,
            detail=_detail(server, newest),
            full_began=full.began_at if full else None,
            copies=sum(one.status == GOOD for one in server.backups),
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
        if one.status not in {GOOD, _FAILED} and (newest is None or one.id > newest.id):
            yield f"{one.id} is {one.status}"
