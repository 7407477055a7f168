"""The remedy, response deadline and escalation of a finding."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from opscheck.core.expectation import Expectation
from opscheck.core.record import Advice, Call, Finding
from opscheck.core.redaction import Secrets
from opscheck.core.remedy import Remedy
from opscheck.core.templates import expectation_facts, render
from opscheck.policy.models import Match, Policy, SeverityLevel


def advise(finding: Finding, expectation: Expectation, policy: Policy, now: datetime, claim: str = "") -> Finding:
    """
    `finding` with its remediation, response deadline and escalation, counted from `now`.

    The policy's remediation replaces the finding's own. `claim` is the title where the policy gives none. The
    first rule that matches names who is called. A command that cannot be written safely and completely is left out.
    """
    level = policy.severities.get(finding.severity)
    facts = _facts(finding, expectation, environment=policy.environment, claim=claim)
    return msgspec.structs.replace(
        finding,
        remediation=_advice(finding, expectation, facts, policy.secrets),
        facts={name: str(value) for name, value in finding.facts.items()},
        respond_by=now + timedelta(seconds=level.respond_within) if level else None,
        escalate=_calls(finding, expectation, policy, level, now),
    )


def _facts(finding: Finding, expectation: Expectation, *, environment: str, claim: str) -> dict[str, str]:
    """The values that commands may name. Facts of the finding override those of its target and its expectation."""
    known = {
        **expectation_facts(expectation),
        **finding.facts,
        "id": expectation.id,
        "title": expectation.title or claim or expectation.id,
        "environment": environment,
        "severity": finding.severity.value,
        "subject": finding.subject,
        "observed": finding.observed,
        "expected": finding.expected,
    }
    return {**_former_facts(finding, expectation, known), **known}


def _former_facts(finding: Finding, expectation: Expectation, known: Mapping[str, str]) -> dict[str, str]:
    return {
        name: known[former.fact]
        for name, former in type(expectation).former_fact_names.items()
        if former.fact in known
        and former.without not in known
        and (not former.remedies or any(_brings(finding, remedy) for remedy in former.remedies))
    }


def _brings(finding: Finding, remedy: Remedy) -> bool:
    suggested = finding.remediation
    return remedy.summary in suggested.summary and set(remedy.commands) <= set(suggested.commands)


def _advice(finding: Finding, expectation: Expectation, facts: Mapping[str, str], secrets: Secrets) -> Advice:
    remediation = expectation.remediation or finding.remediation
    rendered = (render(command, facts, secrets) for command in remediation.commands)
    return Advice(
        summary=remediation.summary,
        commands=tuple(dict.fromkeys(command for command in rendered if command)),
        runbook=expectation.runbook,
    )


def _calls(
    finding: Finding, expectation: Expectation, policy: Policy, level: SeverityLevel | None, now: datetime
) -> tuple[Call, ...]:
    rule = next((rule for rule in policy.escalation if _matches(rule.match, finding, expectation)), None)
    waiting = level.escalate_after if level else 0.0
    calls = [
        Call(at=now + timedelta(seconds=waiting if step.after is None else step.after), notify=step.notify)
        for step in (rule.steps if rule else ())
    ]
    return tuple(sorted(calls, key=lambda call: call.at))


def _matches(match: Match, finding: Finding, expectation: Expectation) -> bool:
    return (
        (match.tag is None or match.tag in expectation.tags)
        and (match.id is None or match.id == expectation.id)
        and (match.severity is None or match.severity == finding.severity)
    )
