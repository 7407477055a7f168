"""How much would be lost with a server now: the changes whose WAL has not left it, on each way that it may leave."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.query import Query
from opscheck.core.units import Duration
from opscheck.systems.backup.wal import BackupWal, Way
from opscheck.systems.postgres import replicas as of_replicas
from opscheck.systems.postgres.archiver import Archiving, not_archiving, unarchived, waiting
from opscheck.systems.postgres.replicas import Replica
from opscheck.systems.postgres.replication import Replication

_BY_ITS_CLOCK = "replies are dated by the replica's clock: one that is slow looks the same"


@dataclass(frozen=True)
class Loss:
    """What would be lost, had the server nothing but this way."""

    what: str
    subject: str
    seconds: Duration
    """How old the oldest of it can be."""
    detail: str = ""
    evidence: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Gap:
    """Why WAL does not leave the server on this way."""

    subject: str
    observed: str
    expected: str
    evidence: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What one way comes to."""

    way: Way
    loss: Loss | None = None
    gaps: tuple[Gap, ...] = ()
    unknown: CouldNotObserve | None = None
    """Why nothing can be said, or not enough."""

    @property
    def holds(self) -> bool:
        """Whether WAL leaves the server on it, however late."""
        return self.loss is not None and not self.gaps and self.unknown is None


def by_archive(expectation: BackupWal, answer: Archiving, server: str) -> Outcome:
    """What is in the archive."""
    if answer.standby and answer.archive_mode != "always":
        return Outcome("archive", unknown=_a_standby(expectation.archiver))
    if (fault := not_archiving(answer)) is not None:
        return Outcome("archive", gaps=(Gap(server, fault.observed, fault.expected, facts=fault.facts),))
    try:
        outside, queue = unarchived(expectation, answer), waiting(answer)
    except CouldNotObserve as error:
        return Outcome("archive", unknown=error)
    failing = "; the last attempt failed" if answer.failing else ""
    loss = Loss(
        what="changes outside the archive",
        subject=server,
        # A file that failed and does not wait any more was removed by somebody: it is missing there.
        seconds=max(outside.seconds if outside.judged else Duration(0), queue.seconds),
        detail=outside.detail + failing,
        evidence=tuple(queue.evidence),
        facts={**outside.facts, **queue.facts},
    )
    return Outcome("archive", loss)


def by_replicas(expectation: BackupWal, answer: Replication, server: str) -> Outcome:
    """What is on the disks of replicas: of each that is named, else of the nearest, or as many as there must be."""
    if answer.standby:
        return Outcome("replicas", unknown=_a_standby(expectation.replication))
    losses: list[Loss] = []
    lacking: list[Gap] = []
    unknown: CouldNotObserve | None = None
    there = of_replicas.replicas(expectation, answer)
    for replica in there:
        if (gap := _not_there(expectation, answer, replica)) is not None:
            lacking.append(gap)
            continue
        try:
            losses.append(_loss(expectation, replica))
        except CouldNotObserve as error:
            unknown = error
    evidence = tuple(of_replicas.connected(answer.senders))
    gaps = [_missing(name, evidence) for name in of_replicas.missing_names(expectation, answer)]
    if expectation.replicas is not None and expectation.minimum is None:
        worst = max(losses, key=lambda loss: loss.seconds, default=None)
        return Outcome("replicas", worst, (*gaps, *lacking), unknown)
    least = expectation.minimum or 1
    near = sorted(losses, key=lambda loss: loss.seconds)
    if len(near) >= least:
        return Outcome("replicas", near[least - 1], tuple(gaps))
    if unknown is None:
        gaps.append(_too_few(server, len(near), least, lacking, evidence))
    return Outcome("replicas", None, tuple(gaps), unknown)


def _loss(expectation: BackupWal, replica: Replica) -> Loss:
    return Loss(
        what="changes not on a replica's disk",
        subject=replica.subject,
        seconds=of_replicas.unflushed(expectation, replica),
        detail=replica.detail,
        evidence=(_BY_ITS_CLOCK,),
        facts=replica.facts,
    )


def _not_there(expectation: BackupWal, answer: Replication, replica: Replica) -> Gap | None:
    if not replica.in_state:
        return Gap(replica.subject, replica.detail, expectation.state, facts=replica.facts)
    if (silent := of_replicas.silence(expectation, answer, replica)) is not None:
        observed, expected = f"no reply for {silent[0]}", f"a reply in the last {silent[1]}"
        return Gap(replica.subject, observed, expected, (_BY_ITS_CLOCK,), replica.facts)
    return None


def _missing(name: str, evidence: tuple[str, ...]) -> Gap:
    return Gap(f"replica {name}", "not connected", "streaming", evidence, of_replicas.missing_facts(name))


def _too_few(server: str, count: int, least: int, lacking: list[Gap], evidence: tuple[str, ...]) -> Gap:
    observed = f"{count} replicas stream" if count != 1 else "1 replica streams"
    seen = tuple(f"{gap.subject}: {gap.observed}" for gap in lacking)
    facts = lacking[0].facts if lacking else {}
    return Gap(server, observed if count else "no replica streams", f"at least {least}", (*seen, *evidence), facts)


def _a_standby(query: Query[Any]) -> CouldNotObserve:
    text = "this is a standby: what it archives or sends says nothing of what is lost with the primary"
    advice = "name the primary in the target's dsn (target_session_attrs=read-write)"
    return CouldNotObserve(query, Problem(kind=ProblemKind.ABSENT, text=text, advice=advice))
