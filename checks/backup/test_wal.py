"""The WAL that leaves a PostgreSQL server, to an archive or to replicas."""

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve
from opscheck.systems.backup.readings.wal import Gap, Loss, Outcome, by_archive, by_replicas
from opscheck.systems.backup.wal import BackupWal, Way


def test_little_would_be_lost_with_the_server(expectation: BackupWal, observe: Observe, findings: Findings) -> None:
    """
    Little would be lost with the server: what it writes is soon in an archive or on a replica's disk as well.

    A base backup is as old as its beginning. Whatever was committed since then, and has not left the server, is lost
    with it, and nobody notices that before.
    """
    outcomes = [_outcome(way, expectation, observe) for way in expectation.ways]
    if expectation.by == "either":
        _judge_nearest(expectation, outcomes, findings)
        return
    for outcome in outcomes:
        _tell_gaps(expectation, outcome.gaps, findings)
        if outcome.loss is not None:
            _grade(expectation, outcome.loss, (), findings)
    _require(outcomes)


def _outcome(way: Way, expectation: BackupWal, observe: Observe) -> Outcome:
    server = expectation.target.address or expectation.target.name
    try:
        if way == "archive":
            return by_archive(expectation, observe(expectation.archiver), server)
        return by_replicas(expectation, observe(expectation.replication), server)
    except CouldNotObserve as error:
        return Outcome(way, unknown=error)


def _judge_nearest(expectation: BackupWal, outcomes: list[Outcome], findings: Findings) -> None:
    nearest = min((one.loss for one in outcomes if one.loss and one.holds), key=lambda loss: loss.seconds, default=None)
    for outcome in outcomes:
        if outcome.loss is not None and outcome.loss is not nearest:
            findings.measure(outcome.loss.what, outcome.loss.seconds, unit="s", subject=outcome.loss.subject)
    if nearest is None:
        _require(outcomes)
        for outcome in outcomes:
            _tell_gaps(expectation, outcome.gaps, findings)
        return
    if expectation.age.severity(nearest.seconds) is not None:
        _require(outcomes)  # the other way may be nearer
    others = [gap for outcome in outcomes for gap in outcome.gaps]
    _grade(expectation, nearest, tuple(f"{gap.subject}: {gap.observed}" for gap in others), findings)


def _grade(expectation: BackupWal, loss: Loss, evidence: tuple[str, ...], findings: Findings) -> None:
    findings.grade(
        loss.what,
        loss.seconds,
        expectation.age,
        subject=loss.subject,
        detail=loss.detail,
        evidence=(*loss.evidence, *evidence),
        facts=loss.facts,
    )


def _tell_gaps(expectation: BackupWal, gaps: tuple[Gap, ...], findings: Findings) -> None:
    for gap in gaps:
        findings.add(
            subject=gap.subject,
            observed=gap.observed,
            expected=gap.expected,
            severity=expectation.worst_severity,
            evidence=gap.evidence,
            facts=gap.facts,
        )


def _require(outcomes: list[Outcome]) -> None:
    """Raises CouldNotObserve where nothing could be said of a way that counts."""
    for outcome in outcomes:
        if outcome.unknown is not None:
            raise outcome.unknown
