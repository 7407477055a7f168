"""What a finding is told to do: commands, a deadline, and people."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

from opscheck.core.expectation import Expectation
from opscheck.core.record import Call
from opscheck.core.redaction import Secrets
from opscheck.core.remedy import Former, Remedy
from opscheck.core.units import Duration, Severity
from opscheck.policy.models import EscalationRule, EscalationStep, Match, Policy, SeverityLevel
from opscheck.running.advice import advise
from opscheck.systems.kubernetes.target import KubernetesTarget
from opscheck.testing import expect

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def _level(respond_within_s, escalate_after_s):
    """What a policy says of one severity."""
    return SeverityLevel(
        name="Level", respond_within=Duration(respond_within_s), escalate_after=Duration(escalate_after_s)
    )


def _step(notify, after_s=None):
    """One call."""
    return EscalationStep(notify=notify, after=None if after_s is None else Duration(after_s))


def _rule(match, *steps):
    """Who is called for which findings."""
    return EscalationRule(match=match, steps=steps)


LOOK = Remedy("Look at the node", "kubectl {{ context_option }} describe node {{ node }}", "kubectl get {{ words }}")
DRAIN = Remedy("Drain it", "kubectl drain {{ node }}", "kubectl {{ context_option }} describe node {{ node }}")


POD = Remedy(
    "Look at the pod",
    "kubectl describe pod {{ pod }} -n {{ namespace }}",
    "kubectl logs {{ pod }} --context {{ context }}",
    "echo {{ environment }} {{ id }} {{ severity }} {{ subject }} {{ title }}",
)


class PodsRun(Expectation):
    """Pods run."""

    remedies: ClassVar = (LOOK, DRAIN, POD)
    former_fact_names: ClassVar = {
        "any_node": Former("node"),
        "bad_node": Former("node", DRAIN),
        "current_node": Former("node", without="context"),
    }

    fact_names: ClassVar = {"pod": "the pod", "namespace": "its namespace", "node": "a node", "words": "some words"}

    target: KubernetesTarget


LEVELS = {Severity.P0: _level(15 * 60, 0), Severity.P2: _level(4 * 3600, 8 * 3600)}
EVERYBODY = _rule(Match(), _step("On-call Engineer", 0), _step("Engineering Manager"))


def _advised(  # noqa: PLR0913 - what a finding and its advice are made of, by name
    *rules, severity=Severity.P2, facts=None, remedies=(POD,), context=None, secrets=None, claim="", **fields
):
    target = KubernetesTarget(kind="kubernetes", namespace="shop", context=context)
    expectation = expect(PodsRun, target, check="pods", severity="P2", **fields)
    finding = expectation.finding(
        subject="web-1", severity=severity, observed="0 of 1 ready", expected="ready", facts=facts, remedies=remedies
    )
    policy = Policy(
        path=Path("policy.yaml"),
        environment="production",
        sha256="",
        targets={},
        severities=LEVELS,
        escalation=rules,
        expectations=(),
        waivers={},
        secrets=secrets or Secrets(),
        default_timeout=Duration(5),
        notices=(),
        sources={},
    )
    return advise(finding, expectation, policy, NOW, claim)


def test_finding_brings_its_remedy_alone():
    finding = _advised(remedies=[LOOK], facts={"node": "n 1", "words": ("pods", "a b")}, context="prod")

    assert "Look at the node" == finding.remediation.summary
    assert (
        "kubectl --context prod describe node 'n 1'",
        "kubectl get pods 'a b'",
    ) == finding.remediation.commands
    assert {"node": "n 1", "words": "pods 'a b'"} == finding.facts


def test_several_remedies_of_one_finding_are_suggested_together():
    advice = _advised(remedies=[LOOK, DRAIN], facts={"node": "n1", "words": ()}).remediation

    assert "Look at the node. Drain it" == advice.summary
    assert ("kubectl describe node n1", "kubectl get", "kubectl drain n1") == advice.commands


def _old_commands(*names, **fields):
    """Those of a policy that was written before, each with a name of then."""
    commands = [f"echo {name} {{{{ {name} }}}}" for name in names]
    advised = _advised(facts={"node": "n1", "words": ()}, remediation={"commands": commands}, **fields)
    return advised.remediation.commands


def test_policy_written_before_may_use_the_former_name_of_a_fact():
    assert ("echo any_node n1",) == _old_commands("any_node", remedies=[LOOK])
    assert ("echo any_node n1",) == _old_commands("any_node", remedies=[])


def test_former_name_has_a_value_only_for_its_remedy():
    assert ("echo bad_node n1",) == _old_commands("bad_node", remedies=[DRAIN])
    assert ("echo bad_node n1",) == _old_commands("bad_node", remedies=[LOOK, DRAIN])
    assert () == _old_commands("bad_node", remedies=[LOOK])
    assert () == _old_commands("bad_node", remedies=[])


def test_former_name_has_no_value_where_a_fact_takes_its_place():
    assert ("echo current_node n1",) == _old_commands("current_node", remedies=[LOOK])
    assert () == _old_commands("current_node", remedies=[LOOK], context="prod")


def test_remedy_of_the_check_is_the_default():
    advice = _advised(facts={"pod": "web-1"}, claim="Pods run", runbook="https://runbooks/pods").remediation

    assert "Look at the pod" == advice.summary
    assert "https://runbooks/pods" == advice.runbook
    assert (
        "kubectl describe pod web-1 -n shop",
        "echo production expectation P2 web-1 'Pods run'",
    ) == advice.commands


def test_policy_remediation_overrides_the_check():
    advice = _advised(
        facts={"pod": "web-1"}, remediation={"summary": "Restart it", "commands": ["kubectl delete pod {{ pod }}"]}
    ).remediation

    assert ("Restart it", ("kubectl delete pod web-1",)) == (advice.summary, advice.commands)


def test_fact_of_a_finding_overrides_its_target():
    advice = _advised(facts={"pod": "web-1", "namespace": "other"}).remediation

    assert "kubectl describe pod web-1 -n other" == advice.commands[0]


def test_a_secret_in_a_fact_becomes_the_variable_it_came_from():
    secrets = Secrets()
    secrets.add("hunter2-hunter2", "${POD}")

    advice = _advised(facts={"pod": "hunter2-hunter2"}, secrets=secrets).remediation

    assert 'kubectl describe pod "${POD}" -n shop' == advice.commands[0]


def test_severity_sets_the_response_deadline():
    assert NOW + timedelta(minutes=15) == _advised(severity=Severity.P0).respond_by
    assert NOW + timedelta(hours=4) == _advised(severity=Severity.P2).respond_by
    assert _advised(severity=Severity.P3).respond_by is None


def test_step_without_a_delay_has_that_of_its_severity():
    escalate = _advised(EVERYBODY, severity=Severity.P2).escalate

    assert (
        Call(at=NOW, notify="On-call Engineer"),
        Call(at=NOW + timedelta(hours=8), notify="Engineering Manager"),
    ) == escalate


def test_first_matching_rule_sets_the_contacts():
    rules = (
        _rule(Match(tag="nightly"), _step("Nobody", 0)),
        _rule(Match(tag="system-down", severity=Severity.P0), _step("Nobody", 0)),
        _rule(Match(id="expectation"), _step("Team Lead", 0)),
        EVERYBODY,
    )

    escalate = _advised(*rules, tags=["system-down"]).escalate

    assert ["Team Lead"] == [call.notify for call in escalate]


def test_no_contact_without_a_matching_rule():
    assert () == _advised(_rule(Match(id="other"), _step("Nobody", 0))).escalate


def test_contacts_are_sorted_by_time():
    rule = _rule(Match(), _step("Engineering Manager"), _step("On-call Engineer", 0))

    assert ["On-call Engineer", "Engineering Manager"] == [call.notify for call in _advised(rule).escalate]
