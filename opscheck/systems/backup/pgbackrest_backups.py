"""What pgBackRest tells: each repository of each stanza is judged by itself, for either may be what is left."""

from collections.abc import Iterator
from datetime import datetime

from opscheck.core.words import some
from opscheck.systems.backup.jobs import BackupJobs
from opscheck.systems.backup.last_backups import Fault, Made, Series, missing
from opscheck.systems.backup.tools import (
    PgbackrestBackup,
    PgbackrestInfo,
    PgbackrestRepository,
    PgbackrestStanza,
)

_FULL = "full"
_WELL, _OTHER = 0, 99
# The databases of its repositories are not the same one. All other codes are told of each repository.
_OF_THE_WHOLE = frozenset({5})
_ADVICE = "run `pgbackrest info` there by hand as the user that opscheck is there; it says what it cannot read"


def made_by(expectation: BackupJobs, info: PgbackrestInfo) -> Made:
    """What the stanzas tell that are meant."""
    made = Made(info.taken_at, advice=_ADVICE)
    for name in missing(expectation.stanzas, (stanza.name for stanza in info.stanzas)):
        made.faults.append(_not_there(expectation, info, name))
    meant = [stanza for stanza in info.stanzas if expectation.stanzas is None or stanza.name in expectation.stanzas]
    if not meant and expectation.stanzas is None:
        expected, severity = "at least one", expectation.worst_severity
        made.faults.append(Fault("pgBackRest knows no stanza", expected, _host(expectation), severity))
    for stanza in meant:
        _judge_stanza(expectation, stanza, made)
    made.counts["stanzas"] = len(meant), _host(expectation)
    return made


def _judge_stanza(expectation: BackupJobs, stanza: PgbackrestStanza, made: Made) -> None:
    wanted = expectation.repositories
    there = {one.number: one for one in stanza.repositories}
    for number in sorted(set(wanted or ()) - there.keys()):
        observed, facts = f"repository {number} is not configured", {"stanza": stanza.name, "repository": str(number)}
        subject, severity = f"stanza {stanza.name}", expectation.worst_severity
        made.faults.append(Fault(observed, "a repository with backups", subject, severity, facts=facts))
    if stanza.code in _OF_THE_WHOLE:
        subject, severity = f"stanza {stanza.name}", expectation.ungraded_severity
        made.faults.append(Fault(_said(stanza.message, stanza.code), "ok", subject, severity))
    if not there:
        observed, expected = f"no repository; {_said(stanza.message, stanza.code)}", "a repository with backups"
        subject = f"stanza {stanza.name}"
        made.faults.append(Fault(observed, expected, subject, expectation.worst_severity))
    for number, repository in sorted(there.items()):
        if wanted is not None and number not in wanted:
            continue
        if repository.code == _OTHER:
            made.unknown.append(f"{_subject(stanza, repository)} could not be read: {repository.message}")
        else:
            made.series.append(_series(stanza, repository))
            made.faults += _of_the_newest(expectation, stanza, repository)


def _series(stanza: PgbackrestStanza, repository: PgbackrestRepository) -> Series:
    good = sorted(_good(repository), key=_began)
    full = [one for one in good if one.type == _FULL]
    number = str(repository.number)
    return Series(
        subject=_subject(stanza, repository),
        began=good[-1].began_at if good else None,
        detail=f"{good[-1].label}, {good[-1].type}" if good else _why_none(repository),
        full_began=full[-1].began_at if full else None,
        copies=len(good),
        faults=tuple(_unwell(repository)),
        evidence=tuple(_evidence(stanza, repository)),
        facts={"stanza": stanza.name, "repository": number},
        stale_facts={"stale_stanza": stanza.name, "stale_repository": number},
        full_facts={"full_stanza": stanza.name, "full_repository": number},
    )


def _why_none(repository: PgbackrestRepository) -> str:
    return "none that can be restored" if repository.code == _WELL else repository.message


def _unwell(repository: PgbackrestRepository) -> Iterator[Fault]:
    if repository.code != _WELL:
        yield Fault(_said(repository.message, repository.code), "ok")


def _said(message: str, code: int) -> str:
    return f"pgBackRest says: {message or 'nothing'} (code {code})"


def _good(repository: PgbackrestRepository) -> Iterator[PgbackrestBackup]:
    """Those that can be restored, as far as a list tells: whole, with all that they are differences to."""
    labels = {one.label for one in repository.backups if not one.damaged}
    for backup in repository.backups:
        if backup.label in labels and labels.issuperset(backup.needs) and not _lacks_wal(repository, backup):
            yield backup


def _of_the_newest(
    expectation: BackupJobs, stanza: PgbackrestStanza, repository: PgbackrestRepository
) -> Iterator[Fault]:
    """Why the newest backup is not good, whatever older ones there are."""
    newest = max(repository.backups, key=_began, default=None)
    if newest is None:
        return
    subject, severity = _subject(stanza, repository), expectation.ungraded_severity
    facts = {"stanza": stanza.name, "repository": str(repository.number)}
    if newest.damaged:
        facts |= {"damaged": newest.label, "damaged_stanza": stanza.name}
        observed = f"pages of the database failed their checksums in {newest.label}"
        yield Fault(observed, "no page that is damaged", subject, severity, newest.ended_at, facts=facts)
    if lost := sorted(set(newest.needs) - {one.label for one in repository.backups}):
        observed = f"{newest.label} is a difference to {some(lost)}, which is not there"
        yield Fault(observed, "a backup that can be restored", subject, severity, newest.ended_at, facts=facts)
    if _lacks_wal(repository, newest):
        observed = (
            f"{newest.label} needs WAL until {newest.wal_until}, and the archive ends {_archived(repository, newest)}"
        )
        yield Fault(observed, "a backup that can be restored", subject, severity, newest.ended_at, facts=facts)


def _lacks_wal(repository: PgbackrestRepository, backup: PgbackrestBackup) -> bool:
    newest = [one.newest for one in repository.archives if one.database == backup.database]
    # Names of segments sort by timeline and place. Without a list of archives nothing is known, as in old versions.
    return bool(backup.wal_until and repository.archives) and max(newest, default="") < backup.wal_until


def _archived(repository: PgbackrestRepository, backup: PgbackrestBackup) -> str:
    newest = [one.newest for one in repository.archives if one.database == backup.database]
    return f"with {max(newest)}" if any(newest) else "before"


def _evidence(stanza: PgbackrestStanza, repository: PgbackrestRepository) -> Iterator[str]:
    if stanza.running:
        yield "a backup, or the removal of old ones, runs there now"
    if repository.backups and (newest := max(repository.backups, key=_began)) is not None:
        yield f"newest backup: {newest.label}, {newest.type}, began {newest.began_at:%Y-%m-%d %H:%M}Z"
    if archived := max((one.newest for one in repository.archives), default=""):
        yield f"WAL is archived until {archived}"


def _not_there(expectation: BackupJobs, info: PgbackrestInfo, name: str) -> Fault:
    there = some(stanza.name for stanza in info.stanzas) or "none at all"
    return Fault(
        "pgBackRest knows no such stanza",
        "a stanza with backups",
        f"stanza {name}",
        expectation.worst_severity,
        evidence=(f"stanzas there: {there}",),
        facts={"missing_stanza": name},
    )


def _subject(stanza: PgbackrestStanza, repository: PgbackrestRepository) -> str:
    return f"stanza {stanza.name}, repository {repository.number}"


def _host(expectation: BackupJobs) -> str:
    return expectation.target.address or expectation.target.name


def _began(backup: PgbackrestBackup) -> tuple[datetime, str]:
    return backup.began_at, backup.label
