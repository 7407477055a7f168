"""What a policy may write about autoscalers, disruption budgets and quotas."""

import pytest
from pydantic import ValidationError

from opscheck import KubernetesTarget, Severity
from opscheck.core.templates import malformed, unknown_names
from opscheck.systems.kubernetes.autoscaling import Autoscaling
from opscheck.systems.kubernetes.disruption import DisruptionBudgets
from opscheck.systems.kubernetes.quotas import Quotas
from opscheck.testing import expect
from tests.registries import BUNDLED

TARGET = KubernetesTarget(kind="kubernetes", namespace="shop")
FIELDS = {Autoscaling: {}, DisruptionBudgets: {}, Quotas: {"used": {"P3": "90%", "P2": "99%"}}}
EACH = pytest.mark.parametrize("kind", FIELDS, ids=lambda kind: kind.check_name)


def policy(kind, **fields):
    return expect(kind, TARGET, **{"severity": "P1"} | FIELDS[kind] | fields)


def refusal(kind, **fields) -> str:
    with pytest.raises(ValidationError) as caught:
        policy(kind, **fields)
    return caught.value.errors()[0]["msg"]


def test_the_kinds_are_known_by_their_checks():
    assert {
        "kubernetes.autoscaling": Autoscaling,
        "kubernetes.disruption": DisruptionBudgets,
        "kubernetes.quotas": Quotas,
    }.items() <= BUNDLED.expectation_types().items()


@EACH
def test_the_defaults(kind):
    assert (1, 900, "shop") == (policy(kind).min_matches, policy(kind).grace, policy(kind).only_namespace)


def test_the_defaults_of_each():
    assert (None, 0) == (policy(DisruptionBudgets).allowed, policy(DisruptionBudgets).min_pods)
    assert ("*",) == policy(Quotas).resources
    assert ((Severity.P3, 90), (Severity.P2, 99)) == policy(Quotas).used.steps


@EACH
def test_each_needs_a_severity_for_what_has_no_grade(kind):
    assert "`severity` of a violation, P0 to P3" in refusal(kind, severity=None)


@EACH
def test_there_may_be_none_by_an_explicit_word(kind):
    assert 0 == policy(kind, min_matches=0).min_matches


@pytest.mark.parametrize(
    ("kind", "fields", "text"),
    [
        (Quotas, {"used": None}, "a percentage such as 75%"),
        (Quotas, {"used": {"P3": 90}}, "a percentage such as 75%"),
        (Quotas, {"resources": []}, "at least 1 item"),
        (Quotas, {"resources": [""]}, "at least 1 character"),
        (DisruptionBudgets, {"allowed": {"P3": 0}}, "more than 0: no value can be lower"),
        (DisruptionBudgets, {"min_pods": -1}, "greater than or equal to 0"),
        (Autoscaling, {"grace": "15"}, "a duration with its unit"),
    ],
)
def test_a_mistake_is_told_in_terms_of_the_field(kind, fields, text):
    assert text in refusal(kind, **fields)


@EACH
def test_each_remediation_can_be_written(kind):
    for command in (text for remedy in kind.remedies for text in remedy.commands):
        assert [] == malformed(command)
        assert [] == unknown_names(command, policy(kind))
