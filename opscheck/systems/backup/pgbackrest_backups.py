"""The last good backups of pgBackRest: one in each repository of each stanza, since any of them may be lost."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from opscheck.core.findings import Findings, Observe
from opscheck.core.record import Finding
from opscheck.core.remedy import Fact
from opscheck.core.words import some
from opscheck.systems.backup.jobs import (
    STANZA,
    STANZA_BACKUP,
    STANZA_DAMAGED,
    STANZA_FULL,
    STANZA_MISSING,
    STANZA_STATUS,
    BackupJobs,
)
from opscheck.systems.backup.last_backups import LastBackup, Subject, ToolReport
from opscheck.systems.backup.tools import PgbackrestBackup, PgbackrestRepository, PgbackrestStanza

_FULL = "full"
_OK, _OTHER = 0, 99
# The databases of its repositories differ. All other codes are also reported for a repository.
_OF_THE_STANZA = frozenset({5})
_ADVICE = "run `pgbackrest info` there by hand as the user that opscheck is there; it says what it cannot read"


def pgbackrest_report(expectation: BackupJobs, observe: Observe, findings: Findings) -> ToolReport:
    """The report on the stanzas that the policy names, or on all."""
    info = observe(expectation.pgbackrest)
    report = ToolReport(expectation, findings, info.taken_at, advice=_ADVICE)
    stanzas, wanted = info.stanzas, expectation.stanzas
    for stanza in report.named("pgBackRest", "stanza", stanzas, wanted, STANZA_MISSING):
        report.findings += _of_the_stanza(expectation, stanza)
        for repository in sorted(stanza.repositories, key=lambda one: one.number):
            _add(expectation, stanza, repository, report)
    return report


def _of_the_stanza(expectation: BackupJobs, stanza: PgbackrestStanza) -> Iterator[Finding]:
    """Repositories that are not configured, and a stanza with an error as a whole."""
    subject, worst = Subject(expectation, f"stanza {stanza.name}"), expectation.worst_severity
    wanted, status = "a repository with backups", _status(stanza.message, stanza.code)
    for number in sorted(set(expectation.repositories or ()) - {one.number for one in stanza.repositories}):
        facts = {"stanza": stanza.name, "repository": number}
        observed = f"repository {number} is not configured"
        yield subject.finding(observed, wanted, STANZA, severity=worst, facts=facts)
    if stanza.code in _OF_THE_STANZA:
        yield subject.finding(status, "ok", STANZA_STATUS, severity=expectation.ungraded_severity)
    if not stanza.repositories:
        yield subject.finding(f"no repository; {status}", wanted, STANZA_STATUS, severity=worst)


def _add(
    expectation: BackupJobs, stanza: PgbackrestStanza, repository: PgbackrestRepository, report: ToolReport
) -> None:
    if expectation.repositories is not None and repository.number not in expectation.repositories:
        return
    facts: dict[str, Fact] = {"stanza": stanza.name, "repository": repository.number}
    subject = Subject(expectation, f"stanza {stanza.name}, repository {repository.number}", (STANZA,), facts)
    if repository.code == _OTHER:
        report.unknown.append(f"{subject.name} could not be read: {repository.message}")
        return
    good = sorted(_good(repository), key=_began)
    full = [one for one in good if one.type == _FULL]
    is_ok = repository.code == _OK
    why_none = "none that can be restored" if is_ok else repository.message
    report.last_backups.append(
        LastBackup(
            subject=subject,
            began=good[-1].began_at if good else None,
            detail=f"{good[-1].label}, {good[-1].type}" if good else why_none,
            full_began=full[-1].began_at if full else None,
            copies=len(good),
            problems=() if is_ok else (subject.finding(_status(repository.message, repository.code), "ok"),),
            evidence=tuple(_evidence(stanza, repository)),
            stale_remedies=(STANZA_BACKUP,),
            full_remedies=(STANZA_FULL,),
        )
    )
    report.findings += _of_the_newest(subject, repository)


def _status(message: str, code: int) -> str:
    return f"pgBackRest says: {message or 'nothing'} (code {code})"


def _good(repository: PgbackrestRepository) -> Iterator[PgbackrestBackup]:
    """Those that can be restored, by the list: undamaged, with all backups that they depend on."""
    labels = {one.label for one in repository.backups if not one.damaged}
    for backup in repository.backups:
        if backup.label in labels and labels.issuperset(backup.needs) and not _lacks_wal(repository, backup):
            yield backup


def _of_the_newest(subject: Subject, repository: PgbackrestRepository) -> Iterator[Finding]:
    """The reasons why the newest backup is not good; older good ones do not matter."""
    newest = max(repository.backups, key=_began, default=None)
    if newest is None:
        return
    about: dict[str, Any] = {"severity": subject.expectation.ungraded_severity, "since": newest.ended_at}
    if newest.damaged:
        observed = f"pages of the database failed their checksums in {newest.label}"
        facts = {"damaged_backup": newest.label}
        yield subject.finding(observed, "no page that is damaged", STANZA_DAMAGED, facts=facts, **about)
    if lost := sorted(set(newest.needs) - {one.label for one in repository.backups}):
        observed = f"{newest.label} is a difference to {some(lost)}, which is not there"
        yield subject.finding(observed, "a backup that can be restored", **about)
    if _lacks_wal(repository, newest):
        archived = _archived(repository, newest)
        end = f"with {max(archived)}" if any(archived) else "before"
        observed = f"{newest.label} needs WAL until {newest.wal_until}, and the archive ends {end}"
        yield subject.finding(observed, "a backup that can be restored", **about)


def _lacks_wal(repository: PgbackrestRepository, backup: PgbackrestBackup) -> bool:
    # Names of segments sort by timeline and place. Old versions list no archives.
    newest = max(_archived(repository, backup), default="")
    return bool(backup.wal_until and repository.archives) and newest < backup.wal_until


def _archived(repository: PgbackrestRepository, backup: PgbackrestBackup) -> list[str]:
    return [one.newest for one in repository.archives if one.database == backup.database]


def _evidence(stanza: PgbackrestStanza, repository: PgbackrestRepository) -> Iterator[str]:
    if stanza.running:
        yield "a backup, or the removal of old ones, runs there now"
    if (newest := max(repository.backups, key=_began, default=None)) is not None:
        yield f"newest backup: {newest.label}, {newest.type}, began {newest.began_at:%Y-%m-%d %H:%M}Z"
    if archived := max((one.newest for one in repository.archives), default=""):
        yield f"WAL is archived until {archived}"


def _began(backup: PgbackrestBackup) -> tuple[datetime, str]:
    return backup.began_at, backup.label
