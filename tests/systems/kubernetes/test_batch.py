"""What a policy may write about jobs and cron jobs, and what it is told when it writes something else."""

import pytest
from pydantic import ValidationError

from opscheck import KubernetesTarget
from opscheck.core.templates import malformed, unknown_names
from opscheck.systems.kubernetes.api_server import ReadIdentity
from opscheck.systems.kubernetes.batch import ListCronJobs, ListJobs
from opscheck.systems.kubernetes.cronjobs import CronJobsOnTime
from opscheck.systems.kubernetes.events import ListWarnings
from opscheck.systems.kubernetes.jobs import JobsComplete
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.testing import expect
from tests.registries import BUNDLED

TARGET = KubernetesTarget(kind="kubernetes", namespace="shop")


def jobs(**fields) -> JobsComplete:
    return expect(JobsComplete, TARGET, **{"severity": "P1"} | fields)


def cronjobs(**fields) -> CronJobsOnTime:
    return expect(CronJobsOnTime, TARGET, **{"severity": "P1"} | fields)


def refusal(make, **fields) -> str:
    with pytest.raises(ValidationError) as caught:
        make(**fields)
    return caught.value.errors()[0]["msg"]


def test_the_kinds_are_known_by_their_checks():
    assert {
        "kubernetes.jobs": JobsComplete,
        "kubernetes.cronjobs": CronJobsOnTime,
    }.items() <= BUNDLED.expectation_types().items()


def test_the_defaults():
    one = jobs()
    assert (1, 12 * 3600, None, True, 900) == (
        one.min_matches,
        one.max_runtime,
        one.forget_after,
        one.allow_suspended,
        one.grace,
    )
    other = cronjobs()
    assert (1, None, 50, 3600, 900, "UTC", False) == (
        other.min_matches,
        other.max_age,
        other.slack,
        other.run_time,
        other.grace,
        other.time_zone,
        other.allow_suspended,
    )


@pytest.mark.parametrize("make", [jobs, cronjobs])
def test_a_severity_is_needed(make):
    assert "`severity` of a violation, P0 to P3" in refusal(make, severity=None)


def test_a_limit_may_be_graded():
    assert {"max_age"} == set(cronjobs(max_age={"P2": "26h", "P0": "50h"}).limits())


@pytest.mark.parametrize("zone", ["Europe/Nowhere", "CEST", "../zone"])
def test_a_time_zone_that_nobody_knows_is_refused(zone):
    assert "the name of a time zone, such as Europe/Berlin or UTC" in refusal(cronjobs, time_zone=zone)
    assert "Europe/Berlin" == cronjobs(time_zone="Europe/Berlin").time_zone


def test_names_that_may_be_suspended_are_a_list_of_at_least_one():
    assert ("by-hand-*",) == cronjobs(allow_suspended=["by-hand-*"]).allow_suspended
    assert refusal(cronjobs, allow_suspended=[])
    assert refusal(cronjobs, allow_suspended=[""])


@pytest.mark.parametrize("one", [jobs(), cronjobs()])
def test_every_command_can_be_typed(one):
    for command in (text for remedy in one.remedies for text in remedy.commands):
        assert [] == malformed(command)
        assert [] == unknown_names(command, one)


def test_jobs_are_judged_by_jobs_and_cron_jobs_and_pods_are_evidence():
    asked = ("target", "shop")

    assert [ListJobs(*asked), ListCronJobs(*asked)] == list(jobs().queries())
    assert [ReadIdentity("target"), ListWarnings(*asked), ListPods(*asked)] == list(jobs().evidence_queries())


def test_cron_jobs_are_judged_by_themselves_and_jobs_are_evidence():
    asked = ("target", "shop")

    assert [ListCronJobs(*asked)] == list(cronjobs().queries())
    assert [ReadIdentity("target"), ListWarnings(*asked), ListJobs(*asked)] == list(cronjobs().evidence_queries())


def test_their_findings_may_explain_those_of_others():
    assert JobsComplete.explains_others
    assert CronJobsOnTime.explains_others
