"""Judging cron jobs: whatever an object lacks, nothing is raised, and no order matters."""

from datetime import timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from checks.kubernetes.test_cronjobs import judge_cronjobs, never_runs, overdue, unjudged
from opscheck.demo.kubernetes import timestamp
from opscheck.systems.kubernetes.batch import CronJob, Job
from opscheck.systems.kubernetes.cronjobs import CronJobsOnTime
from opscheck.systems.kubernetes.selection import Evidence
from opscheck.testing import expect
from tests.checks.kubernetes.judging_batch import (
    NOW,
    TARGET,
    a_run,
    ago,
)

TIMES = st.integers(-90000, 900000).map(lambda seconds: timestamp(NOW - timedelta(seconds=seconds)))


@st.composite
def odd_cronjobs(draw):
    whole = {
        "metadata": {"name": draw(st.sampled_from("abcd")), "namespace": "default", "creationTimestamp": draw(TIMES)},
        "spec": {
            "schedule": draw(st.sampled_from(["0 2 * * *", "@every 1h", "0 0 30 2 *", "never"])),
            "timeZone": draw(st.sampled_from(["Europe/Berlin", "Nowhere/Land", "", None])),
            "suspend": draw(st.booleans()),
            "startingDeadlineSeconds": draw(st.sampled_from([5, 100])),
            "concurrencyPolicy": draw(st.sampled_from(["Forbid", "Unheard"])),
            "successfulJobsHistoryLimit": draw(st.sampled_from([0, 3])),
        },
        "status": {
            "active": draw(st.lists(st.sampled_from([{"name": "r1"}, {"name": "r2"}, {}]), max_size=3)),
            "lastScheduleTime": draw(TIMES),
            "lastSuccessfulTime": draw(TIMES),
        },
    }
    for part in whole.values():
        for field in draw(st.sets(st.sampled_from(sorted(part)))):
            part[field] = None
    for part in draw(st.sets(st.sampled_from(sorted(whole)))):
        whole[part] = None
    return msgspec.convert(whole, CronJob)


RUNS = tuple(msgspec.convert(a_run(number, cronjob="a", failed=ago(hours=number)), Job) for number in (1, 2))


@given(st.lists(odd_cronjobs(), max_size=4, unique_by=lambda one: one.name), st.data())
def test_no_cron_job_is_too_odd_to_be_judged_and_no_order_matters(cronjobs, data):
    def told(cronjobs, runs):
        judgement = judge_cronjobs(expectation, cronjobs, NOW)
        found = [never_runs(expectation, one) for one in judgement.never_due]
        found += [overdue(expectation, age, Evidence(runs), NOW) for age in judgement.overdue]
        each = sorted((one.subject, one.observed, one.evidence, sorted(one.facts.items())) for one in found)
        return each, unjudged(judgement)

    expectation = expect(CronJobsOnTime, TARGET, severity="P1")
    assert told(cronjobs, RUNS) == told(data.draw(st.permutations(cronjobs)), tuple(reversed(RUNS)))
