"""What Barman tells: each server that it backs up is judged by itself."""

from collections.abc import Iterator
from datetime import UTC, datetime

from opscheck.core.words import counted, some
from opscheck.systems.backup.jobs import BackupJobs
from opscheck.systems.backup.last_backups import Fault, Made, Series, missing
from opscheck.systems.backup.tools import BarmanBackup, BarmanCatalogue, BarmanServer

GOOD = "DONE"
_FAILED = "FAILED"
# Of old versions, which have nothing else, the type is empty.
_DIFFERENCES = frozenset({"incremental"})


def made_by(expectation: BackupJobs, catalogue: BarmanCatalogue) -> Made:
    """What the servers tell that are meant."""
    made = Made(catalogue.taken_at, advice="see what `barman show-backup` says of it there by hand")
    for name in missing(expectation.servers, (server.name for server in catalogue.servers)):
        made.faults.append(_not_there(expectation, catalogue, name))
    meant = [one for one in catalogue.servers if expectation.servers is None or one.name in expectation.servers]
    host = expectation.target.address or expectation.target.name
    if not meant and expectation.servers is None:
        made.faults.append(Fault("Barman knows no server", "at least one", host, expectation.worst_severity))
    for server in meant:
        _judge_server(server, made)
    made.counts["servers"] = len(meant), host
    return made


def is_full(backup: BarmanBackup) -> bool:
    """Whether it is no difference to another."""
    return backup.type not in _DIFFERENCES


def newest_good(server: BarmanServer, *, full: bool = False) -> BarmanBackup | None:
    """The last one that is done, by when it ended; what was listed last may be any."""
    good = (one for one in server.backups if one.status == GOOD and (is_full(one) or not full))
    return max(good, key=lambda one: (one.ended_at or _NEVER, one.id), default=None)


_NEVER = datetime.min.replace(tzinfo=UTC)


def _judge_server(server: BarmanServer, made: Made) -> None:
    newest, full = newest_good(server), newest_good(server, full=True)
    silent = next((one for one in (newest, full) if one is not None and one.began_at is None), None)
    if silent is not None:
        made.unknown.append(f"server {server.name}: Barman does not say when {silent.id} began")
        return
    made.series.append(
        Series(
            subject=f"server {server.name}",
            began=newest.began_at if newest else None,
            detail=_detail(server, newest),
            full_began=full.began_at if full else None,
            copies=sum(one.status == GOOD for one in server.backups),
            faults=tuple(_faults(server, newest)),
            evidence=tuple(_evidence(server, newest)),
            facts={"server": server.name},
            stale_facts={"stale_server": server.name},
        )
    )


def _detail(server: BarmanServer, newest: BarmanBackup | None) -> str:
    if newest is not None:
        return f"{newest.id}, {newest.type}" if newest.type else newest.id
    states = sorted({one.status for one in server.backups})
    return f"{counted(len(server.backups), 'backup')}, {some(states)}" if states else "none was ever made"


def _faults(server: BarmanServer, newest: BarmanBackup | None) -> Iterator[Fault]:
    """The newest backup that failed, when no good one came after it. Their ids are the times of their beginnings."""
    failed = max((one.id for one in server.backups if one.status == _FAILED), default="")
    if failed and (newest is None or failed > newest.id):
        facts = {"failed": failed, "failed_server": server.name}
        yield Fault(f"its newest backup {failed} is {_FAILED}", GOOD, facts=facts)


def _evidence(server: BarmanServer, newest: BarmanBackup | None) -> Iterator[str]:
    for one in sorted(server.backups, key=lambda one: one.id):
        if one.status not in {GOOD, _FAILED} and (newest is None or one.id > newest.id):
            yield f"{one.id} is {one.status}"


def _not_there(expectation: BackupJobs, catalogue: BarmanCatalogue, name: str) -> Fault:
    there = some(server.name for server in catalogue.servers) or "none at all"
    return Fault(
        "Barman knows no such server",
        "a server with backups",
        f"server {name}",
        expectation.worst_severity,
        evidence=(f"servers there: {there}",),
        facts={"missing_server": name},
    )
