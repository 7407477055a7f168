"""From a judgement to the result that every report shows: waivers, guidance, source, and no secret."""

from datetime import datetime

import msgspec

from opscheck.core.expectation import Expectation
from opscheck.core.record import Finding, Result, Verdict, WaiverNote
from opscheck.core.verdicts import Gate, Judgement
from opscheck.policy.models import Policy, Waiver
from opscheck.running.advice import advise


def compose(  # noqa: PLR0913 - all that one result is made of, by name
    policy: Policy,
    expectation: Expectation,
    judgement: Judgement,
    *,
    gate: Gate,
    claim: str,
    now: datetime,
    observed_at: datetime | None,
    duration_s: float,
) -> Result:
    """The result of one expectation, as it will stand in every report."""
    waiver = policy.waivers.get(expectation.id)
    findings = tuple(advise(finding, expectation, policy, now, claim) for finding in judgement.findings)
    urgent = None
    if judgement.severity is not None and judgement.blocked_by is None:  # else somebody is called for the cause
        unknown = judgement.verdict is Verdict.UNKNOWN
        hidden = _unknown(expectation, judgement)
        urgent = advise(hidden, expectation, policy, now, claim) if unknown else findings[0]
    verdict = _waived(judgement.verdict, waiver, now)
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
        observed_at=observed_at,
        duration_s=duration_s,
        source=policy.source(expectation.id),
    )
    # Its names are the policy's own words and the same everywhere, though a password may be one of them.
    names = {"id": result.id, "check": result.check, "blocked_by": result.blocked_by}
    return msgspec.structs.replace(policy.secrets.clean_value(result), **names)


def _waived(verdict: Verdict, waiver: Waiver | None, now: datetime) -> Verdict:
    # What could not be observed is not waived: nobody knows what it would hide.
    if verdict is Verdict.VIOLATED and waiver is not None and not waiver.expired(now.date()):
        return Verdict.WAIVED
    return verdict


def _unknown(expectation: Expectation, judgement: Judgement) -> Finding:
    """What could not be observed, as a finding: somebody must answer it as soon as the violation it may hide."""
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
