"""
kubernetes.pods: how often containers restart, and which ran out of memory.

Tests are named after the reports they come from.
"""

from datetime import timedelta

import pytest

from opscheck.demo.kubernetes import termination, timestamp
from tests.checks.kubernetes.judging_pods import (
    NOW,
    SECOND,
    a_pod,
    ago,
    commands,
    judged,
    observed,
    status_of,
)

HOUR = timedelta(hours=1)


# Restarts


def restarted(**fields):
    return judged(a_pod(**fields), restarts={"at_most": 5, "within": "1h"})


def test_popeye_205_restarts_of_long_ago_are_no_violation():
    findings = restarted(restarts=6, terminated=ago(days=300), created=ago(days=365))

    assert [] == findings.violations
    assert 0 == findings.measurements[-1].value


def test_popeye_205_one_restart_now_does_not_count_the_ones_before_the_window():
    ended = termination(ago(minutes=20)) | {"startedAt": timestamp(ago(days=30))}

    findings = restarted(restarts=6, terminated=ended, created=ago(days=365))

    assert [] == findings.violations
    assert 1 == findings.measurements[-1].value


@pytest.mark.parametrize(("count", "found"), [(5, 0), (6, 1)])
def test_of_a_pod_younger_than_the_window_every_restart_counts(count, found):
    findings = restarted(restarts=count, terminated=ago(minutes=12), created=ago(minutes=50))

    assert found == len(findings.violations)
    assert count == findings.measurements[-1].value


def test_restarts_that_may_be_in_the_window_are_told_as_that():
    (violation,) = restarted(restarts=6, terminated=ago(minutes=12)).violations

    assert "2 to 6 restarts in 1h: container app, exit code 1 (Error) 12m ago; deployment/web" == violation.observed
    assert "<= 5 restarts in 1h" == violation.expected


def test_the_reboot_of_a_node_is_one_restart():
    ended = termination(ago(minutes=30), 255, "Unknown") | {"startedAt": timestamp(ago(days=20))}

    assert [] == restarted(restarts=8, terminated=ended).violations


def test_the_restarts_of_all_containers_count_together():
    both = a_pod(containers=("app", "proxy"), created=ago(minutes=50), restarts=3, terminated=ago(minutes=12))
    status_of(both, "proxy").update(restartCount=3, lastState={"terminated": termination(ago(minutes=12))})

    (text,) = observed(both, restarts={"at_most": 5, "within": "1h"})
    assert text.startswith("6 restarts in 1h")


# Out of memory, where the policy looks at it


def killed(age, **fields):
    end = termination(NOW - age, 137, "OOMKilled") | {"startedAt": timestamp(ago(days=1))}
    return a_pod(**{"restarts": 1, "terminated": end, "limits": {"memory": "512Mi"}} | fields)


@pytest.mark.parametrize(("age", "count"), [(HOUR - SECOND, 1), (HOUR + SECOND, 0)])
def test_a_kill_for_memory_counts_within_the_window_also_when_all_is_well_again(age, count):
    findings = judged(killed(age), no_oom_kill_within="1h")

    assert count == len(findings.violations)
    assert ("pods out of memory", count, 0) == (
        findings.measurements[-1].name,
        findings.measurements[-1].value,
        findings.measurements[-1].limit,
    )


def test_a_kill_for_memory_is_told_with_the_limit_and_how_to_raise_it():
    (violation,) = judged(killed(timedelta(minutes=5)), no_oom_kill_within="24h").violations

    assert (
        "container app ran out of memory: exit code 137 (OOMKilled, memory limit 512Mi) 5m ago; deployment/web"
        == violation.observed
    )
    assert "no container out of memory in 1d" == violation.expected
    assert "kubectl -n default set resources deployment/web -c app --limits=memory=1024Mi" in commands(
        killed(timedelta(minutes=5)), no_oom_kill_within="24h"
    )


def test_after_a_resize_in_place_the_limit_in_force_is_told():
    resized = killed(timedelta(minutes=5))
    status_of(resized)["resources"] = {"limits": {"memory": "2Gi"}}

    (text,) = observed(resized, no_oom_kill_within="1h")
    assert "memory limit 2Gi" in text


def test_exit_137_alone_is_not_out_of_memory():
    other = a_pod(restarts=1, terminated=termination(ago(minutes=5), 137) | {"startedAt": timestamp(ago(days=1))})

    assert [] == observed(other, no_oom_kill_within="1h")
