"""kubernetes.cronjobs: the last success against the schedule. Tests are named after the reports they come from."""

from datetime import timedelta

import msgspec
import pytest

from checks.kubernetes.test_cronjobs import judge_cronjobs, unjudged
from opscheck import Severity
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.demo.kubernetes import event, timestamp
from opscheck.systems.kubernetes.batch import CronJob, ListCronJobs, ListJobs
from opscheck.systems.kubernetes.cronjobs import CronJobsOnTime
from opscheck.systems.kubernetes.lists import ObjectList
from opscheck.testing import expect, judge
from tests.checks.kubernetes.judging_batch import (
    NOW,
    SECOND,
    TARGET,
    a_cronjob,
    a_run,
    ago,
    commands,
    cronjobs_judged,
    observed,
    utc,
)
from tests.checks.kubernetes.judging_batch import test_cronjobs as check

# A nightly run may be missing for half a day, an hour of work and a quarter of an hour before it starts.
ALLOWED = timedelta(hours=12) + timedelta(hours=1) + timedelta(minutes=15)
LATE = {"scheduled": ago(days=3, hours=10), "succeeded": ago(days=3, hours=9, minutes=50)}


def test_a_cron_job_that_succeeded_last_night_is_on_time():
    findings = cronjobs_judged(a_cronjob())

    assert [] == findings.violations
    count, age = findings.measurements
    assert ("cronjobs", 1) == (count.name, count.value)
    limit = (timedelta(hours=23, minutes=50) + ALLOWED).total_seconds()
    assert ("age of the last success", 35400, "s", "backup", limit, limit - 35400) == (
        age.name,
        age.value,
        age.unit,
        age.subject,
        age.limit,
        age.margin,
    )


@pytest.mark.parametrize(("late", "count"), [(timedelta(), 0), (SECOND, 1)])
def test_a_success_is_due_with_the_run_after_the_last_or_soon_after_it(late, count):
    due = utc("2026-03-11T02:00") + ALLOWED

    assert count == len(observed(cronjobs_judged(a_cronjob(), now=due + late)))


def test_overdue_cron_job_is_reported_with_limit_times_and_commands():
    findings = cronjobs_judged(a_cronjob(scheduled=ago(hours=10), succeeded=ago(days=3, hours=9, minutes=50)))

    (violation,) = findings.violations
    assert (
        "backup",
        "last success 3d9h ago: no started run has succeeded",
        "a success at most 1d13h ago, by its schedule 0 2 * * * (UTC)",
        Severity.P1,
        utc("2026-03-08T15:15"),
        "target/default/cronjob/backup",
    ) == (
        violation.subject,
        violation.observed,
        violation.expected,
        violation.severity,
        violation.since,
        violation.about,
    )
    assert ("last success 2026-03-07 02:10Z", "last run was due 2026-03-10 02:00Z") == violation.evidence
    assert [
        "kubectl -n default describe cronjob backup",
        "kubectl -n default create job --from=cronjob/backup backup-by-hand",
    ] == commands(CronJobsOnTime, findings)


def test_slack_run_time_and_grace_are_the_policys():
    fields = {"slack": "0%", "run_time": "10m", "grace": "1s"}
    due = utc("2026-03-11T02:10") + SECOND

    assert [] == observed(cronjobs_judged(a_cronjob(), now=due, **fields))
    assert 1 == len(observed(cronjobs_judged(a_cronjob(), now=due + SECOND, **fields)))


def test_a_schedule_of_weekdays_is_on_time_over_the_weekend():
    friday = {"schedule": "0 2 * * 1-5", "succeeded": utc("2026-03-06T02:10"), "scheduled": utc("2026-03-06T02:00")}

    assert [] == observed(cronjobs_judged(a_cronjob(**friday), now=utc("2026-03-09T15:15")))
    assert 1 == len(observed(cronjobs_judged(a_cronjob(**friday), now=utc("2026-03-09T15:16"))))


@pytest.mark.parametrize(("late", "severity"), [(0, []), (1, [Severity.P2]), (3600 * 24 + 1, [Severity.P0])])
def test_an_explicit_limit_counts_instead_of_the_schedule(late, severity):
    cronjob = a_cronjob(succeeded=ago(hours=26, seconds=late), schedule="gibberish")

    findings = cronjobs_judged(cronjob, max_age={"P2": "26h", "P0": "50h"})
    assert severity == [violation.severity for violation in findings.violations]
    assert all(violation.expected.startswith("a success at most") for violation in findings.violations)


def test_the_worst_of_several_is_measured():
    due_soon = a_cronjob("frequent", schedule="*/5 * * * *", succeeded=ago(minutes=4))

    assert "frequent" == cronjobs_judged(a_cronjob(), due_soon).measurements[-1].subject


# (a) to (f): what others alarm about


def test_popeye_1501_a_cron_job_without_an_active_job_is_idle():
    assert [] == observed(cronjobs_judged(a_cronjob(active=())))


def test_popeye_1502_new_cron_job_passes_until_its_first_run_is_due():
    made, due = utc("2026-03-09T12:00"), utc("2026-03-10T02:00") + ALLOWED
    new = a_cronjob(created=made, scheduled=None, succeeded=None)

    assert [] == observed(cronjobs_judged(new, now=due))
    (violation,) = cronjobs_judged(new, now=due + SECOND).violations
    assert (
        "no success since its creation 1d3h ago: no run has ever started; one was due at 2026-03-10 02:00Z"
        == violation.observed
    )


def test_k8s_133662_active_run_after_the_last_success_passes():
    running = a_cronjob(
        scheduled=ago(minutes=50), succeeded=ago(hours=1, minutes=10), active=["backup-1"], schedule="10 * * * *"
    )

    assert [] == observed(cronjobs_judged(running))


def test_argo_24429_the_verdict_does_not_flap_with_each_run_that_starts():
    broken = {"schedule": "*/10 * * * *", "succeeded": ago(hours=5)}

    idle, running = (
        a_cronjob(scheduled=ago(minutes=9), **broken),
        a_cronjob(scheduled=ago(seconds=1), active=["backup-1"], **broken),
    )
    assert 1 == len(observed(cronjobs_judged(idle))) == len(observed(cronjobs_judged(running)))


def test_k8s_122025_success_is_unknown_without_job_history():
    unrecorded = a_cronjob(succeeded=None, successfulJobsHistoryLimit=0)

    with pytest.raises(CouldNotObserve, match=r"backup: it keeps no successful jobs .*122025"):
        cronjobs_judged(unrecorded)
    with pytest.raises(CouldNotObserve):
        cronjobs_judged(unrecorded, max_age="26h")


def test_k8s_122025_where_no_run_was_started_none_can_have_succeeded():
    blocked = a_cronjob(succeeded=None, scheduled=ago(days=5), successfulJobsHistoryLimit=0)
    never = a_cronjob("never", succeeded=None, scheduled=None, successfulJobsHistoryLimit=0)

    assert 2 == len(observed(cronjobs_judged(blocked, never)))
    assert 2 == len(observed(cronjobs_judged(blocked, never, max_age="26h")))


def test_k8s_122025_a_cluster_that_records_successes_is_believed():
    assert [] == observed(cronjobs_judged(a_cronjob(successfulJobsHistoryLimit=0)))
    assert 1 == len(observed(cronjobs_judged(a_cronjob(successfulJobsHistoryLimit=0, **LATE))))


def test_overdue_cron_job_is_reported_next_to_unknown_ones():
    expectation = expect(CronJobsOnTime, TARGET, severity="P1")
    both = [a_cronjob("late", **LATE), a_cronjob("odd", schedule="0 0 L * *")]

    judgement = judge_cronjobs(expectation, [msgspec.convert(one, CronJob) for one in both], NOW)
    assert ["late"] == [age.cronjob.name for age in judgement.overdue]
    assert "odd: invalid schedule `0 0 L * *`" in unjudged(judgement).text


@pytest.mark.parametrize(
    ("zone", "succeeded", "due"),
    [
        # The run of March 29th at 02:00 is left out, and the next one is due a day later.
        ("Europe/Berlin", "2026-03-28T01:10", "2026-03-30T00:00"),
        # On October 25th there are 25 hours from run to run.
        ("Europe/Berlin", "2026-10-24T00:10", "2026-10-25T00:00"),
        ("America/New_York", "2026-03-07T07:10", "2026-03-09T06:00"),
        ("America/New_York", "2026-10-31T06:10", "2026-11-01T07:00"),
    ],
)
def test_a_schedule_is_in_its_time_zone_whose_clocks_change(zone, succeeded, due):
    cronjob = a_cronjob(time_zone=zone, succeeded=utc(succeeded), created=utc("2026-01-01T00:00"))
    exactly = {"slack": "0%", "run_time": "1s", "grace": "0s"}

    assert [] == observed(cronjobs_judged(cronjob, now=utc(due) + SECOND, **exactly))
    assert 1 == len(observed(cronjobs_judged(cronjob, now=utc(due) + 2 * SECOND, **exactly)))


def test_without_a_time_zone_it_is_that_of_the_controller_manager():
    late_evening = a_cronjob(schedule="30 23 * * *", succeeded=utc("2026-03-09T22:40"))
    exactly = {"slack": "0%", "run_time": "1s", "grace": "0s", "now": utc("2026-03-09T23:31")}

    assert 1 == len(observed(cronjobs_judged(late_evening, **exactly)))
    assert [] == observed(cronjobs_judged(late_evening, **exactly, time_zone="Europe/Berlin"))


def test_argo_25551_a_suspended_cron_job_may_be_so_until_a_success_is_overdue():
    assert [] == observed(cronjobs_judged(a_cronjob(suspend=True)))


def test_a_cron_job_that_somebody_forgot_to_resume_is_a_violation():
    findings = cronjobs_judged(a_cronjob(suspend=True, **LATE))

    assert ["last success 3d9h ago: suspended"] == observed(findings)
    assert [
        "kubectl -n default describe cronjob backup",
        'kubectl -n default patch cronjob backup -p \'{"spec": {"suspend": false}}\'',
    ] == commands(CronJobsOnTime, findings)


def test_govuk_4097_a_policy_may_allow_to_suspend_all_or_some():
    some = [a_cronjob("by-hand-1", suspend=True, **LATE), a_cronjob(suspend=True, **LATE)]

    assert [] == observed(cronjobs_judged(*some, allow_suspended=True))
    allowed = cronjobs_judged(*some, allow_suspended=["by-hand-*"])
    assert ["backup"] == [violation.subject for violation in allowed.violations]
    assert ("suspended cron jobs", 1) == (allowed.measurements[-1].name, allowed.measurements[-1].value)


def test_to_allow_suspension_excuses_nothing_that_is_not_suspended():
    assert 1 == len(observed(cronjobs_judged(a_cronjob(**LATE), allow_suspended=True)))


def test_a_schedule_that_never_comes_is_another_way_to_suspend():
    never = a_cronjob(schedule="0 0 31 2 *")

    assert ["never runs: no date matches its schedule 0 0 31 2 *"] == observed(cronjobs_judged(never))
    assert [] == observed(cronjobs_judged(never, allow_suspended=True))


# What keeps it from success


def test_the_newest_run_that_failed_is_named():
    run = a_run(29552280, created=ago(hours=10), failed=ago(hours=9), failed_pods=7)
    findings = cronjobs_judged(a_cronjob(succeeded=LATE["succeeded"]), run)

    assert [
        (
            "last success 3d9h ago: newest run backup-29552280"
            " failed 9h ago: BackoffLimitExceeded (7 pods failed, backoffLimit 6)"
        )
    ] == observed(findings)
    assert "kubectl -n default logs job/backup-29552280 --all-containers --tail=100" in commands(
        CronJobsOnTime, findings
    )


def test_one_failed_run_is_the_jobs_affair_as_long_as_no_success_is_overdue():
    assert [] == observed(cronjobs_judged(a_cronjob(), a_run(created=ago(hours=2), failed=ago(hours=1))))


def test_failed_run_is_evidence_when_another_cause_is_reported():
    run = a_run(29552280, created=ago(days=2), failed=ago(days=2))

    (violation,) = cronjobs_judged(a_cronjob(suspend=True, **LATE), run).violations
    assert "newest run backup-29552280 failed 2d ago: BackoffLimitExceeded (backoffLimit 6)" == violation.evidence[-1]


def test_forbid_lets_a_run_that_never_ends_block_all_others():
    blocked = a_cronjob(active=["backup-29552280"], concurrencyPolicy="Forbid", **LATE)
    findings = cronjobs_judged(blocked, a_run(29552280, created=ago(days=2)))

    assert [
        "last success 3d9h ago: backup-29552280 runs for 2d, and concurrencyPolicy Forbid blocks other runs"
    ] == observed(findings)
    assert [
        "kubectl -n default describe cronjob backup",
        "kubectl -n default describe job backup-29552280",
        "kubectl -n default logs job/backup-29552280 --all-containers --tail=100",
    ] == commands(CronJobsOnTime, findings)


def test_runs_that_pile_up_are_told_with_the_oldest():
    many = a_cronjob(active=["backup-2", "backup-1"], **LATE)
    runs = a_run(2, created=ago(days=1)), a_run(1, created=ago(days=2))

    assert ["last success 3d9h ago: backup-1 runs for 2d, and 1 more"] == observed(cronjobs_judged(many, *runs))


def test_replace_kills_each_run_that_is_too_slow_and_is_no_excuse():
    replaced = a_cronjob(
        schedule="*/5 * * * *", succeeded=ago(hours=5), active=["backup-9"], concurrencyPolicy="Replace"
    )

    assert 1 == len(observed(cronjobs_judged(replaced, a_run(9, created=ago(minutes=1)))))


def test_missed_schedules_are_told_with_the_run_that_was_due():
    missed = a_cronjob(startingDeadlineSeconds=200, **LATE)

    assert [
        (
            "last success 3d9h ago: no run started since 2026-03-07 02:00Z;"
            " one was due within startingDeadlineSeconds 200 at 2026-03-08 02:00Z"
        )
    ] == observed(cronjobs_judged(missed))


def test_a_starting_deadline_shorter_than_the_controllers_look_is_named():
    missed = a_cronjob(startingDeadlineSeconds=5, **LATE)

    assert [
        (
            "last success 3d9h ago: no run started since 2026-03-07 02:00Z;"
            " startingDeadlineSeconds 5 is shorter than the controller's interval of 10s"
        )
    ] == observed(cronjobs_judged(missed))


def test_warnings_about_the_cron_job_are_evidence():
    warning = event(
        "w", about="CronJob/backup", reason="TooManyMissedTimes", message="x", kind="Warning", at=ago(minutes=2)
    )

    (violation,) = cronjobs_judged(a_cronjob(**LATE), warning).violations
    assert "TooManyMissedTimes, 2m ago: x" == violation.evidence[-1]


# Unknown


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"schedule": "0 0 L * *"}, "invalid schedule `0 0 L \\* \\*`"),
        ({"time_zone": "Europe/Nowhere"}, "time zone `Europe/Nowhere` is unknown on this machine"),
        ({"schedule": ""}, "no schedule"),
    ],
)
def test_a_schedule_that_cannot_be_read_is_unknown_and_never_a_pass(fields, why):
    with pytest.raises(CouldNotObserve, match=why):
        cronjobs_judged(a_cronjob(**fields))


def test_jobs_that_cannot_be_read_change_no_verdict():
    expectation = expect(CronJobsOnTime, TARGET, severity="P1")
    answers = {
        ListCronJobs("target", "default"): ObjectList((msgspec.convert(a_cronjob(**LATE), CronJob),)),
        ListJobs("target", "default"): Problem(kind=ProblemKind.DENIED, text="may not list jobs"),
    }

    (violation,) = judge(check.test_the_cron_jobs_are_on_time, expectation, answers, NOW).violations
    assert "jobs could not be read: may not list jobs" in violation.evidence


def test_no_cron_job_at_all_is_a_violation():
    assert ["0 cronjobs"] == observed(cronjobs_judged())


def test_a_cron_job_that_is_being_deleted_is_left_out():
    going = a_cronjob("going", **LATE)
    going["metadata"]["deletionTimestamp"] = timestamp(ago(minutes=1))

    assert [] == observed(cronjobs_judged(a_cronjob(), going))


def test_every_namespace_is_told_apart():
    findings = cronjobs_judged(a_cronjob(namespace="a"), a_cronjob(namespace="b", **LATE), namespace="*")

    assert ["b/backup"] == [violation.subject for violation in findings.violations]
    assert "kubectl -n b describe cronjob backup" == commands(CronJobsOnTime, findings)[0]


# Whatever a cluster reports


def test_one_list_serves_every_expectation_on_a_namespace():
    one, other = expect(CronJobsOnTime, TARGET, severity="P1"), expect(CronJobsOnTime, TARGET, severity="P2", name="a*")

    assert (ListCronJobs("target", "default"),) == tuple(one.queries())
    assert tuple(one.described()) == tuple(other.described())
