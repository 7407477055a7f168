"""Pods as a cluster reports them at one moment, and what kubernetes.pods says of them then."""

from datetime import UTC, datetime, timedelta

import msgspec

from checks.kubernetes import test_pods
from opscheck import Findings, KubernetesTarget
from opscheck.demo.kubernetes import pod
from opscheck.systems.kubernetes.events import Event
from opscheck.systems.kubernetes.lists import ObjectList
from opscheck.systems.kubernetes.pods import ListPods, Pod, PodsHealthy
from opscheck.testing import expect, judge
from tests.checks.kubernetes.rendering import rendered

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TARGET = KubernetesTarget(kind="kubernetes", namespace="default")
GRACE = timedelta(minutes=15)
SECOND = timedelta(seconds=1)
HEALTHY = {"app": "web"}


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def a_pod(name="web-7d4b9c6f5d-2xkqp", **fields):
    return pod(name, **{"created": ago(days=2), "labels": HEALTHY} | fields)


def judged(*pods, target=TARGET, warnings=(), **fields) -> Findings:
    expectation = expect(PodsHealthy, target, **{"severity": "P0"} | fields)
    found = [msgspec.convert(one, Pod) for one in pods]
    complaints = [msgspec.convert(one, Event) for one in warnings]

    def answer(query):
        there = found if isinstance(query, ListPods) else complaints
        return ObjectList(tuple(one for one in there if query.namespace in (None, one.namespace)))

    return judge(test_pods.test_the_pods_are_well, expectation, answer, NOW)


def observed(*pods, **fields) -> list[str]:
    return [violation.observed for violation in judged(*pods, **fields).violations]


def commands(*pods, target=TARGET, **fields) -> list[str]:
    expectation = expect(PodsHealthy, target, severity="P0", **fields)
    return rendered(expectation, judged(*pods, target=target, **fields))


def status_of(item, container="app"):
    return next(status for status in item["status"]["containerStatuses"] if status["name"] == container)


def crashing(**fields):
    return a_pod(**{"waiting": "CrashLoopBackOff", "restarts": 7, "terminated": ago(minutes=3)} | fields)
