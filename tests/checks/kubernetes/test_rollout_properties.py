"""Judging rollouts: whatever an object lacks, nothing is raised; no order matters; unknown conditions say nothing."""

import random
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.kubernetes.test_rollout import test_rollouts_are_complete as check
from opscheck import KubernetesTarget
from opscheck.demo.kubernetes import daemon_set, deployment, pod, stateful_set, timestamp
from opscheck.systems.kubernetes.lists import ObjectList
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.systems.kubernetes.rollout import RolloutComplete
from opscheck.systems.kubernetes.workloads import Deployment, progress_of
from opscheck.testing import expect, judge
from tests.property_tests import examples

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TARGET = KubernetesTarget(kind="kubernetes", namespace="default")
EXPECTATION = expect(RolloutComplete, TARGET, severity="P1", min_matches=0)
OWNERS = ("ReplicaSet/web-7d4b9c6f5d", "StatefulSet/web", "DaemonSet/web")

TIMES = st.integers(0, 7200).map(lambda seconds: NOW - timedelta(seconds=seconds))
COUNTS = st.integers(0, 3)
REASONS = st.sampled_from(["NewReplicaSetAvailable", "ReplicaSetUpdated", "ProgressDeadlineExceeded", ""])


def _made(build, **fields):
    return st.builds(build, st.sampled_from(["web", "api"]), **fields)


DATED = {"created": TIMES, "since": TIMES, "edited": TIMES, "observed": st.integers(3, 4)}
WORKLOADS = st.one_of(
    _made(
        deployment,
        available=COUNTS,
        updated=COUNTS,
        old=COUNTS,
        progress=REASONS,
        refused=st.sampled_from(["", "exceeded quota"]),
        paused=st.booleans(),
        min_ready_seconds=st.sampled_from([0, 3600]),
        **DATED,
    ),
    _made(
        stateful_set,
        available=COUNTS,
        updated=COUNTS,
        strategy=st.sampled_from(["OnDelete", "RollingUpdate"]),
        partition=COUNTS,
        **DATED,
    ),
    _made(daemon_set, available=COUNTS, updated=COUNTS, misscheduled=COUNTS, **DATED),
)
PODS = st.builds(
    lambda name, owner, **given: pod(f"web-{name}", owner=owner, **given),
    st.integers(0, 9),
    st.sampled_from(OWNERS),
    ready=st.booleans(),
    phase=st.sampled_from(["Running", "Pending", "Failed"]),
    node=st.sampled_from([None, "node-1", "node-2"]),
    created=TIMES,
    since=TIMES,
    deleted=st.one_of(st.none(), TIMES),
)


@st.composite
def holed(draw, objects):
    """An object of which parts are missing or null; the values of a map of texts are never null."""
    whole = draw(objects)
    for _ in range(draw(st.integers(0, 3))):
        part, of_texts = whole, False
        while isinstance(part, dict) and part:
            key = draw(st.sampled_from(sorted(part)))
            if draw(st.booleans()) or not isinstance(part[key], dict):
                missing = of_texts or key == "kind" or draw(st.booleans())
                part.pop(key) if missing else part.update({key: None})
                break
            part, of_texts = part[key], key in {"labels", "matchLabels"}
    return whole


def findings(objects):
    answers = {}
    for query in EXPECTATION.queries():
        mine = [one for one in objects if one[0] == query.item.__name__]
        answers[query] = ObjectList(tuple(msgspec.convert(one, query.item) for _, one in mine))
    judged = judge(check, EXPECTATION, answers, NOW)
    return sorted((one.subject, one.observed, str(one.since), one.because) for one in judged.violations)


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(WORKLOADS, max_size=4), st.lists(PODS, max_size=4), st.data())
def test_an_object_with_holes_raises_nothing(workloads, pods, data):
    objects = [(one["kind"], data.draw(holed(st.just(one)))) for one in (*workloads, *pods)]

    findings(objects)


@settings(max_examples=examples(100), deadline=None)
@given(
    st.lists(WORKLOADS, max_size=4, unique_by=lambda one: (one["kind"], one["metadata"]["name"])),
    st.lists(PODS, max_size=5, unique_by=lambda one: one["metadata"]["name"]),
    st.randoms(use_true_random=False),
)
def test_no_order_matters(workloads, pods, shuffled: random.Random):
    objects = [(one["kind"], one) for one in (*workloads, *pods)]
    told = findings(objects)
    shuffled.shuffle(objects)
    for _, one in objects:
        for listed in ("conditions", "containerStatuses"):
            shuffled.shuffle(one["status"].get(listed) or [])
        shuffled.shuffle(one["metadata"].get("managedFields") or [])

    assert told == findings(objects)


@settings(max_examples=examples(100), deadline=None)
@given(WORKLOADS, TIMES)
def test_an_unknown_condition_says_nothing(workload, at):
    workload["status"]["conditions"] = [
        one for one in workload["status"].get("conditions", []) if one["type"] in {"Available", "Progressing"}
    ]
    before = findings([(workload["kind"], workload)])
    workload["status"]["conditions"].append(
        {"type": "Unheard", "status": "True", "reason": "Error", "lastTransitionTime": timestamp(at)}
    )

    assert before == findings([(workload["kind"], workload)])


@pytest.mark.parametrize("absent", ["spec", "status"])
def test_a_half_written_object_says_nothing(absent):
    found = deployment("web")
    del found[absent], found["metadata"]["generation"]

    assert progress_of(msgspec.convert(found, Deployment)) is None


def test_pods_are_looked_for_by_one_list():
    assert [ListPods("target", "default")] == [one for one in EXPECTATION.queries() if isinstance(one, ListPods)]
