"""`backup.jobs` of Velero: by when its backups began, and not by what looks like it."""

from datetime import timedelta

import pytest

from opscheck import Severity
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from tests.checks.backup.making import (
    PINNED,
    a_backup,
    a_location,
    a_schedule,
    ago,
    commands,
    expectation_of,
    judged,
)


def velero(*objects, **fields):
    return judged("velero", *objects, a_location(), **fields)


def test_a_young_backup_passes_and_its_age_counts_from_its_beginning():
    findings = velero(a_schedule(), a_backup(took=timedelta(hours=2)))

    assert [] == findings.violations
    age = next(one for one in findings.measurements if one.name == "age of the last good backup")
    assert (9 * 3600, 25 * 3600, "daily") == (age.value, age.limit, age.subject)


def test_an_old_one_is_found_although_its_object_is_new():
    """A backup that is restored, or found in a bucket, is created anew; it is as old as before."""
    (finding,) = velero(a_schedule(), a_backup(began=ago(days=3), created=ago(hours=1)), count_synced=True).violations

    assert (Severity.P0, "<= 2d1h") == (finding.severity, finding.expected)
    assert finding.observed.startswith("age of the last good backup 3d (daily-")
    assert "daily" == finding.facts["schedule"]


def test_the_last_backup_of_a_schedule_is_not_taken_for_a_good_one():
    (finding,) = velero(
        a_schedule(last=ago(hours=9)), a_backup(began=ago(days=3)), a_backup(phase="Failed", failureReason="no bucket")
    ).violations

    assert Severity.P0 == finding.severity
    assert any("is Failed" in line for line in finding.evidence)
    assert "no bucket" in finding.evidence
    assert finding.facts["failed_backup"].startswith("daily-")


@pytest.mark.parametrize("phase", ["PartiallyFailed", "Failed", "FailedValidation"])
def test_newest_one_that_is_not_complete_is_reported_while_an_older_is_young(phase):
    bad = a_backup(began=ago(hours=1), phase=phase, errors=2, warnings=1, validationErrors=["no such location"])
    if phase == "FailedValidation":
        bad["metadata"]["creationTimestamp"] = "2026-03-10T11:00:00Z"
    findings = velero(a_schedule(), a_backup(began=ago(hours=25)), bad)

    (finding,) = findings.violations
    assert Severity.P2 == finding.severity
    assert f"is {phase} (2 errors, 1 warning)" in finding.observed
    assert ("no such location",) == finding.evidence
    assert any("backup logs daily-" in command for command in commands(findings, "velero"))


def test_one_that_is_still_in_progress_is_not_a_backup_and_no_trouble():
    assert [] == velero(a_schedule(), a_backup(), a_backup(began=ago(minutes=9), phase="InProgress")).violations
    (finding,) = velero(a_schedule(), a_backup(began=ago(minutes=9), phase="InProgress")).violations
    assert "no good backup yet, 90d after it was made" == finding.observed


@pytest.mark.parametrize("phase", ["InProgress", "WaitingForPluginOperations", "Finalizing", "New", "Queued"])
def test_one_that_does_not_end_is_reported(phase):
    (finding,) = velero(a_schedule(), a_backup(), a_backup(began=ago(hours=13), phase=phase)).violations

    assert f" is {phase} for 13h" in finding.observed
    assert (Severity.P2, "finished within 12h") == (finding.severity, finding.expected)
    assert "stuck_backup" in finding.facts


def test_a_backup_of_another_cluster_is_not_ours():
    findings = velero(a_schedule(), a_backup(created=ago(hours=8)))

    (finding,) = findings.violations
    assert "no good backup yet, 90d after it was made" == finding.observed
    assert any("found in the bucket and did not make here" in line for line in finding.evidence)
    assert [] == velero(a_schedule(), a_backup(created=ago(hours=8)), count_synced=True).violations


def test_a_backup_of_another_schedule_or_by_hand_does_not_count():
    (finding,) = velero(a_schedule(), a_backup("weekly"), a_backup("")).violations

    assert "no good backup yet, 90d after it was made" == finding.observed


def test_one_that_has_expired_may_be_gone_at_any_time():
    (finding,) = velero(a_schedule(), a_backup(kept=timedelta(hours=8))).violations

    assert any("that expired" in line for line in finding.evidence)


def test_one_that_is_being_deleted_is_not_there_any_more():
    assert 1 == len(velero(a_schedule(), a_backup(phase="Deleting")).violations)


def test_one_from_the_future_proves_nothing():
    (finding,) = velero(a_schedule(), a_backup(began=ago(hours=-5))).violations

    assert "the newest backup begins in 5h: one of the clocks is wrong" == finding.observed


def test_each_schedule_has_a_newest_of_its_own():
    (finding,) = velero(a_schedule(), a_schedule("weekly"), a_backup()).violations

    assert "weekly" == finding.subject


def test_a_paused_schedule_is_reported_or_may_be():
    (finding,) = velero(a_schedule(paused=True), a_backup()).violations
    paused = (a_schedule(paused=True), a_backup(began=ago(days=30)))
    quiet = velero(*paused, a_schedule("hourly"), a_backup("hourly"), allow_suspended=True)
    with pytest.raises(CouldNotObserve, match="1 schedule is paused or being deleted"):
        velero(*paused, allow_suspended=True)

    assert (Severity.P2, "it is paused", "daily") == (
        finding.severity,
        finding.observed,
        finding.facts["schedule"],
    )
    assert [] == quiet.violations
    assert [1] == [one.value for one in quiet.measurements if one.name == "paused schedules"]


def test_a_schedule_that_velero_refuses_is_reported_with_its_reasons():
    refused = a_schedule(phase="FailedValidation", validationErrors=["invalid schedule: expected 5 fields"])
    (finding,) = velero(refused, a_backup()).violations

    assert ("invalid schedule: expected 5 fields",) == finding.evidence


def test_without_any_schedule_nothing_makes_backups():
    (finding,) = velero(a_backup()).violations

    assert ("0 schedules", ">= 1") == (finding.observed, finding.expected)


def test_a_bucket_that_is_not_available_is_reported_once():
    objects = (a_schedule(), a_schedule("hourly"), a_backup(), a_backup("hourly"))
    (finding,) = judged("velero", *objects, a_location(phase="Unavailable", message="AccessDenied")).violations

    assert ("storage location default", "it is Unavailable") == (finding.subject, finding.observed)
    assert ("AccessDenied", "Velero looked at it last 1m ago") == finding.evidence


def test_a_bucket_that_is_not_there_is_reported():
    (finding,) = judged("velero", a_schedule(location="offsite"), a_backup(), a_location()).violations

    assert ("storage location offsite", "it is not there") == (finding.subject, finding.observed)
    (finding,) = judged("velero", a_schedule(), a_backup()).violations
    assert "it names no storage location, and no default exists" == finding.observed


def test_too_few_good_ones_are_found():
    (finding,) = velero(a_schedule(), a_backup(), a_backup(began=ago(days=1)), copies={"P3": 7, "P2": 3}).violations

    assert (Severity.P2, "good backups 2", ">= 3") == (finding.severity, finding.observed, finding.expected)


def test_a_cluster_without_velero_is_unknown_or_may_be_skipped():
    absent = Problem(kind=ProblemKind.ABSENT, text="the server does not serve backups.velero.io")

    assert not expectation_of("velero").does_not_apply(absent)
    assert expectation_of("velero", when_absent="skip").does_not_apply(absent)


def test_commands_name_the_context_that_the_policy_pins():
    findings = velero(a_schedule(), a_backup(began=ago(days=3)), target=PINNED)

    assert [
        "velero --kubecontext prod -n velero schedule describe daily",
        "velero --kubecontext prod -n velero backup create --from-schedule daily --wait",
    ] == commands(findings, "velero", PINNED)
