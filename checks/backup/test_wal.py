"""The WAL of a PostgreSQL server, in an archive or on replicas."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.query import Query
from opscheck.core.record import Finding
from opscheck.core.units import Duration
from opscheck.systems.backup.series import Suggestion
from opscheck.systems.backup.wal import LAGGING_REPLICA, MISSING_REPLICA, STREAM, BackupWal, Way
from opscheck.systems.postgres import replicas as of_replicas
from opscheck.systems.postgres.archiver import Archiving, not_archiving, unarchived, waiting
from opscheck.systems.postgres.replicas import Replica
from opscheck.systems.postgres.replication import Replication

_BY_ITS_CLOCK = "replies are dated by the replica's clock: one that is slow looks the same"


def test_little_would_be_lost_with_the_server(expectation: BackupWal, observe: Observe, findings: Findings) -> None:
    """
    Recent changes are in the WAL archive or on a replica.

    A base backup is as old as its start. Every commit since then that has not left the server is lost with it.
    """
    outcomes = [_outcome(way, expectation, observe) for way in expectation.ways]
    if expectation.by == "either":
        _judge_nearest(expectation, outcomes, findings)
        return
    for outcome in outcomes:
        findings.report_all(outcome.gaps)
        if outcome.loss is not None:
            _grade(expectation, outcome.loss, (), findings)
    _require(outcomes)


@dataclass(frozen=True)
class Loss:
    """The changes that would be lost, if the server had only this copy of its WAL."""

    what: str
    subject: str
    seconds: Duration
    """The possible age of the oldest of them."""
    suggestion: Suggestion
    detail: str = ""
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """The loss and the gaps of one copy of the WAL."""

    loss: Loss | None = None
    gaps: tuple[Finding, ...] = ()
    """The reasons why this copy is missing."""
    unknown: CouldNotObserve | None = None
    """The reason why it is unknown, or not known well enough."""

    @property
    def holds(self) -> bool:
        """True when the copy exists, even a late one."""
        return self.loss is not None and not self.gaps and self.unknown is None


def _outcome(way: Way, expectation: BackupWal, observe: Observe) -> Outcome:
    try:
        if way == "archive":
            return _by_archive(expectation, observe(expectation.archiver))
        return _by_replicas(expectation, observe(expectation.replication))
    except CouldNotObserve as error:
        return Outcome(unknown=error)


def _judge_nearest(expectation: BackupWal, outcomes: list[Outcome], findings: Findings) -> None:
    nearest = min((one.loss for one in outcomes if one.loss and one.holds), key=lambda loss: loss.seconds, default=None)
    others = [gap for outcome in outcomes for gap in outcome.gaps]
    for outcome in outcomes:
        if outcome.loss is not None and outcome.loss is not nearest:
            findings.measure(outcome.loss.what, outcome.loss.seconds, unit="s", subject=outcome.loss.subject)
    if nearest is None:
        _require(outcomes)
        findings.report_all(others)
        return
    if expectation.age.severity(nearest.seconds) is not None:
        _require(outcomes)  # the other copy may be more recent
    _grade(expectation, nearest, tuple(f"{gap.subject}: {gap.observed}" for gap in others), findings)


def _grade(expectation: BackupWal, loss: Loss, evidence: tuple[str, ...], findings: Findings) -> None:
    findings.grade(
        loss.what,
        loss.seconds,
        expectation.age,
        subject=loss.subject,
        detail=loss.detail,
        evidence=(*loss.evidence, *evidence),
        **vars(loss.suggestion),
    )


def _require(outcomes: list[Outcome]) -> None:
    """Raise CouldNotObserve when a copy that counts is unknown."""
    for outcome in outcomes:
        if outcome.unknown is not None:
            raise outcome.unknown


def _by_archive(expectation: BackupWal, answer: Archiving) -> Outcome:
    """The loss with only the archive. Raises CouldNotObserve."""
    if answer.standby and answer.archive_mode != "always":
        raise _a_standby(expectation.archiver)
    if (fault := not_archiving(answer)) is not None:
        suggestion = Suggestion(fault.remedies, fault.facts)
        return Outcome(gaps=(_gap(expectation, "", fault.observed, fault.expected, suggestion),))
    outside, queue = unarchived(expectation.archiver, expectation.age, answer), waiting(answer)
    failing = "; the last attempt failed" if answer.failing else ""
    loss = Loss(
        what="changes outside the archive",
        subject=expectation.server,
        # A file that failed and no longer waits was removed: it is missing in the archive.
        seconds=max(outside.seconds if outside.judged else Duration(0), queue.seconds),
        detail=outside.detail + failing,
        evidence=tuple(queue.evidence),
        suggestion=Suggestion(queue.remedies, queue.facts) + Suggestion(outside.remedies, outside.facts),
    )
    return Outcome(loss)


def _by_replicas(expectation: BackupWal, answer: Replication) -> Outcome:
    """The loss with only replicas: by all named ones, or by the most recent one, or the `minimum` most recent."""
    if answer.standby:
        raise _a_standby(expectation.replication)
    losses: list[Loss] = []
    lacking: dict[Replica, Finding] = {}
    unknown: CouldNotObserve | None = None
    for replica in of_replicas.replicas(answer, expectation.replicas, expectation.state):
        if (gap := _absent(expectation, answer, replica)) is not None:
            lacking[replica] = gap
            continue
        try:
            losses.append(_loss(expectation, replica))
        except CouldNotObserve as error:
            unknown = error
    evidence = of_replicas.connected(answer.senders)
    absent = of_replicas.missing_names(answer, expectation.replicas)
    gaps = [_missing(expectation, name, evidence) for name in absent]
    if expectation.replicas is not None and expectation.minimum is None:
        worst = max(losses, key=lambda loss: loss.seconds, default=None)
        return Outcome(worst, (*gaps, *lacking.values()), unknown)
    least = expectation.minimum or 1
    near = sorted(losses, key=lambda loss: loss.seconds)
    if len(near) >= least:
        return Outcome(near[least - 1], tuple(gaps))
    if unknown is None:
        gaps.append(_too_few(expectation, len(near), least, lacking, evidence))
    return Outcome(None, tuple(gaps), unknown)


def _loss(expectation: BackupWal, replica: Replica) -> Loss:
    return Loss(
        what="changes not on a replica's disk",
        subject=replica.subject,
        seconds=of_replicas.unflushed(expectation.replication, replica),
        detail=replica.detail,
        evidence=(_BY_ITS_CLOCK,),
        suggestion=_look_at(replica),
    )


def _absent(expectation: BackupWal, answer: Replication, replica: Replica) -> Finding | None:
    """The gap of a replica that does not stream or is silent."""
    if not replica.in_state:
        return _gap(expectation, replica.subject, replica.detail, expectation.state, _look_at(replica))
    if (silent := of_replicas.silence(answer, replica, expectation.silence)) is not None:
        observed, expected = f"no reply for {silent[0]}", f"a reply in the last {silent[1]}"
        return _gap(expectation, replica.subject, observed, expected, _look_at(replica), _BY_ITS_CLOCK)
    return None


def _missing(expectation: BackupWal, name: str, evidence: list[str]) -> Finding:
    facts = of_replicas.missing_facts(name)
    suggestion = Suggestion((MISSING_REPLICA if facts else STREAM,), facts)
    return _gap(expectation, f"replica {name}", "not connected", "streaming", suggestion, *evidence)


def _too_few(
    expectation: BackupWal, count: int, least: int, lacking: Mapping[Replica, Finding], evidence: list[str]
) -> Finding:
    streaming = f"{count} replicas stream" if count != 1 else "1 replica streams"
    seen = [f"{gap.subject}: {gap.observed}" for gap in lacking.values()]
    first = next(iter(lacking), None)
    suggestion = _look_at(first) if first else Suggestion((STREAM,))
    observed = streaming if count else "no replica streams"
    return _gap(expectation, "", observed, f">= {least}", suggestion, *seen, *evidence)


def _look_at(replica: Replica) -> Suggestion:
    return Suggestion((LAGGING_REPLICA if replica.facts else STREAM,), replica.facts)


def _gap(
    expectation: BackupWal, subject: str, observed: str, expected: str, suggestion: Suggestion, *evidence: str
) -> Finding:
    """A reason why a copy of the WAL is missing; about the server itself without a subject."""
    return expectation.finding(
        subject=subject or expectation.server,
        observed=observed,
        expected=expected,
        severity=expectation.worst_severity,
        evidence=evidence,
        **vars(suggestion),
    )


def _a_standby(query: Query[Any]) -> CouldNotObserve:
    text = "this is a standby: its archive and replicas do not show the loss of the primary"
    advice = "name the primary in the target's dsn (target_session_attrs=read-write)"
    return CouldNotObserve(query, Problem(kind=ProblemKind.ABSENT, text=text, advice=advice))
