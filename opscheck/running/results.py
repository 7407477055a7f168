"""Results and the run record: waivers, remedies, source, without secrets."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from opscheck.core.exit_codes import ExitCode
from opscheck.core.expectation import Expectation
from opscheck.core.query import Identity
from opscheck.core.record import Finding, GateNote, PolicyNote, Result, Run, TargetNote, Verdict, WaiverNote
from opscheck.core.verdicts import Gate, Judgement, count
from opscheck.gathering.observer import Observing
from opscheck.policy.models import Policy, Waiver
from opscheck.running.advice import advise


def compose(  # noqa: PLR0913 - the parts of a result, by name
    policy: Policy,
    expectation: Expectation,
    judgement: Judgement,
    observing: Observing,
    *,
    gate: Gate,
    claim: str,
) -> Result:
    """The result of one expectation, as in every report."""
    waiver, now = policy.waivers.get(expectation.id), observing.now
    findings = tuple(advise(finding, expectation, policy, now, claim) for finding in judgement.findings)
    urgent = None
    if judgement.severity is not None and judgement.blocked_by is None:  # otherwise the cause has the escalation
        unknown = judgement.verdict is Verdict.UNKNOWN
        urgent = advise(_unknown(expectation, judgement), expectation, policy, now, claim) if unknown else findings[0]
    verdict = judgement.verdict
    # Unknown is not waived: it may hide another violation.
    if verdict is Verdict.VIOLATED and waiver is not None and not waiver.expired(now.date()):
        verdict = Verdict.WAIVED
    result = Result(
        id=expectation.id,
        check=expectation.check,
        title=expectation.title or claim,
        target=expectation.system.name if expectation.system else None,
        tags=expectation.tags,
        owner=expectation.owner,
        severity=judgement.severity,
        verdict=verdict,
        advisory=verdict in {Verdict.VIOLATED, Verdict.UNKNOWN} and not gate.closes(judgement.severity),
        summary=judgement.summary,
        measurements=judgement.measurements,
        findings=findings,
        consequences=judgement.consequences,
        respond_by=urgent.respond_by if urgent else None,
        escalate=urgent.escalate if urgent else (),
        runbook=expectation.runbook,
        waiver=_note(waiver, now),
        blocked_by=judgement.blocked_by,
        observed_at=observing.observed_at,
        duration_s=observing.duration_s,
        source=policy.source(expectation.id),
    )
    # Ids and names come from the policy and are not redacted, even if a password equals one of them.
    names = {"id": result.id, "check": result.check, "blocked_by": result.blocked_by}
    return msgspec.structs.replace(policy.secrets.clean_value(result), **names)


def _unknown(expectation: Expectation, judgement: Judgement) -> Finding:
    """`unknown` as a finding: it has the response deadline of the violation that it may hide."""
    severity = judgement.severity or expectation.worst_severity
    return Finding(subject=expectation.id, severity=severity, observed=judgement.summary, expected="an answer")


def _note(waiver: Waiver | None, now: datetime) -> WaiverNote | None:
    if waiver is None:
        return None
    return WaiverNote(
        reason=waiver.reason,
        owner=waiver.owner,
        expires=waiver.expires.isoformat(),
        expired=waiver.expired(now.date()),
    )


def record(  # noqa: PLR0913 - the parts of a record, by name
    policy: Policy,
    gate: Gate,
    selected: Iterable[str],
    results: Mapping[str, Result],
    *,
    started_at: datetime,
    observed_at: datetime,
    identities: Mapping[str, Identity],
    stopped: ExitCode | None,
    strangers_failed: Sequence[str],
) -> Run:
    """The record of a run. `stopped`: reason of an early end; `strangers_failed`: failures outside the checks."""
    chosen = set(selected)
    reported = tuple(results[one.id] for one in policy.expectations if one.id in results and one.id in chosen)
    counts = count(len(chosen), reported)
    exit_code = stopped or gate.exit_code(reported, counts)
    if exit_code in {ExitCode.OPEN, ExitCode.UNKNOWN} and strangers_failed:
        exit_code = ExitCode.CLOSED
    warnings = (f"{name}: {identity.warning}" for name, identity in identities.items() if identity.warning)
    failed = (f"failed: {what}" for what in strangers_failed)
    notices = [*policy.notices, *_lost(policy, chosen, reported), *warnings, *failed]
    finished_at = datetime.now(UTC)
    return Run(
        environment=policy.secrets.clean(policy.environment),
        policy=PolicyNote(path=str(policy.path), sha256=policy.sha256, uses=policy.uses or msgspec.UNSET),
        started_at=started_at,
        finished_at=finished_at,
        duration_s=round((finished_at - started_at).total_seconds(), 3),
        observed_at=observed_at,
        gate=GateNote(fail_on=str(gate), open=exit_code is ExitCode.OPEN, exit_code=int(exit_code)),
        counts=counts,
        targets=tuple(policy.secrets.clean_value(note) for note in _targets(policy, reported, identities)),
        notices=tuple(policy.secrets.clean(notice) for notice in notices),
        results=reported,
    )


def _targets(policy: Policy, reported: Iterable[Result], identities: Mapping[str, Identity]) -> Iterator[TargetNote]:
    """The queried systems, in policy order: a verdict needs to name its system."""
    asked = {result.target for result in reported}
    for name, target in policy.targets.items():
        if policy.secrets.clean(name) not in asked:
            continue
        said = identities.get(name) or Identity(place="")
        yield TargetNote(
            name=name,
            kind=target.kind,
            address=target.address,
            place=said.place,
            user=said.user,
            groups=said.groups,
            authenticated_by=said.authenticated_by,
        )


def _lost(policy: Policy, chosen: set[str], reported: Iterable[Result]) -> list[str]:
    """A sentence that names the expectations without a verdict."""
    lost = chosen - {result.id for result in reported}
    names = ", ".join(one.id for one in policy.expectations if one.id in lost)
    return [f"no verdict of {names}: the run ended before, or its check disappeared"] if lost else []
