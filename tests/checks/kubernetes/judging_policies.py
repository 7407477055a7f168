"""Autoscalers, budgets and quotas as a cluster reports them at one moment, and what their checks say of them then."""

from datetime import timedelta

import msgspec

from checks.kubernetes.test_autoscaling import test_autoscalers_can_scale
from checks.kubernetes.test_disruption import test_budgets_have_the_pods_they_ask_for
from checks.kubernetes.test_quotas import test_quotas_have_room
from opscheck import Findings
from opscheck.systems.kubernetes.autoscaling import Autoscaling
from opscheck.systems.kubernetes.disruption import DisruptionBudgets
from opscheck.systems.kubernetes.lists import ListObjects, ObjectList
from opscheck.systems.kubernetes.quotas import Quotas
from opscheck.testing import expect, judge
from tests.checks.kubernetes.judging_pods import NOW, TARGET, ago
from tests.checks.kubernetes.rendering import rendered

GRACE = timedelta(minutes=15)
MONTH = ago(days=30)

_CHECKS = {
    Autoscaling: test_autoscalers_can_scale,
    DisruptionBudgets: test_budgets_have_the_pods_they_ask_for,
    Quotas: test_quotas_have_room,
}
_FIELDS = {Quotas: {"used": {"P3": "90%"}}}


def expected(kind, target=TARGET, **fields):
    return expect(kind, target, **{"severity": "P1"} | _FIELDS.get(kind, {}) | fields)


def judged(kind, *objects, target=TARGET, **fields) -> Findings:
    """What the check of `kind` says of `objects`, each of which says by its `kind` which list it is in."""

    def answer(query: ListObjects) -> ObjectList:
        name = query.item.__name__
        here = [one for one in objects if one["kind"] == name]
        there = [one for one in here if query.namespace in (None, one["metadata"]["namespace"])]
        return ObjectList(tuple(msgspec.convert(one, query.item) for one in there))

    return judge(_CHECKS[kind], expected(kind, target, **fields), answer, NOW)


def observed(kind, *objects, **fields) -> list[str]:
    return [violation.observed for violation in judged(kind, *objects, **fields).violations]


def commands(kind, *objects, **fields) -> list[str]:
    expectation = expected(kind, **fields)
    return rendered(expectation, judged(kind, *objects, **fields))
