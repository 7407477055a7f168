"""`backup.jobs` of cron jobs: good, old, suspended, failed, hanging, never run, and scripts that hide failures."""

from datetime import timedelta

import pytest

from opscheck import Severity
from opscheck.core.observation import CouldNotObserve
from tests.checks.backup.making import PINNED, a_cronjob, a_good_run, a_run, ago, commands, judged, scripted


def cronjobs(*objects, **fields):
    return judged("cronjob", *objects, **fields)


def test_a_young_backup_passes_and_its_age_counts_from_its_beginning():
    findings = cronjobs(a_cronjob(), a_good_run())

    assert [] == findings.violations
    age = next(one for one in findings.measurements if one.name == "age of the last good backup")
    assert (36000, 90000, "backup") == (age.value, age.limit, age.subject)


def test_a_long_run_that_ended_lately_is_old():
    ended = ago(hours=2)
    findings = cronjobs(a_cronjob(succeeded=ended), a_good_run(created=ago(hours=26), completed=ended))

    (finding,) = findings.violations
    assert (Severity.P2, "<= 1d1h", ago(hours=1)) == (finding.severity, finding.expected, finding.since)
    assert finding.observed.startswith("age of the last good backup 1d2h (")


def test_the_newest_success_counts_in_any_order_the_jobs_come():
    old = a_good_run(1, created=ago(days=3), completed=ago(days=3))
    new = a_good_run(2)

    for jobs in ((old, new), (new, old)):
        assert [] == cronjobs(a_cronjob(), *jobs).violations


def test_a_success_whose_job_is_gone_counts_from_when_it_was_due():
    gone = a_cronjob(scheduled=ago(hours=26), succeeded=ago(hours=1))

    (finding,) = cronjobs(gone, age={"P1": "25h"}, max_runtime="30h").violations

    assert finding.observed.startswith("age of the last good backup 1d2h")


def test_where_only_its_end_is_known_it_is_old_young_or_unknown():
    """A later run is due already, so that nothing tells when the good one began."""

    def gone(hours):
        return a_cronjob(scheduled=ago(minutes=5), succeeded=ago(hours=hours)), a_run(2, created=ago(minutes=5))

    assert [] == cronjobs(*gone(2), age={"P1": "25h"}, max_runtime="12h").violations
    with pytest.raises(CouldNotObserve) as raised:
        cronjobs(*gone(20), age={"P1": "25h"}, max_runtime="12h")
    assert "began 20h to 1d8h ago" in raised.value.problem.text
    assert "successfulJobsHistoryLimit" in raised.value.problem.advice
    assert 1 == len(cronjobs(*gone(26), age={"P1": "25h"}, max_runtime="12h").violations)


def test_an_old_backup_of_a_suspended_cron_job_is_one_finding():
    findings = cronjobs(a_cronjob(suspend=True, succeeded=ago(days=3), scheduled=ago(days=3)))

    (finding,) = findings.violations
    assert (Severity.P0, "age of the last good backup 3d (suspended)") == (finding.severity, finding.observed)
    assert ("target/shop/cronjob/backup",) == finding.because
    assert any(command.endswith('"suspend": false}}\'') for command in commands(findings, "cronjob"))


def test_one_that_is_suspended_is_reported_while_its_last_backup_is_young():
    (finding,) = cronjobs(a_cronjob(suspend=True), a_good_run()).violations

    assert (Severity.P2, "it is suspended") == (finding.severity, finding.observed)


def test_one_that_may_be_suspended_is_not_judged_and_counted():
    others = (a_cronjob(suspend=True, succeeded=ago(days=30)), a_cronjob("hourly"))
    findings = cronjobs(*others, allow_suspended=True)

    assert [] == findings.violations
    assert [1] == [one.value for one in findings.measurements if one.name == "suspended cron jobs"]


@pytest.mark.parametrize("fields", [{"suspend": True}, {"deleted": True}])
def test_where_none_is_left_to_judge_nobody_knows_of_a_backup(fields):
    left_out = a_cronjob(suspend="suspend" in fields)
    if "deleted" in fields:
        left_out["metadata"]["deletionTimestamp"] = "2026-03-10T11:00:00Z"

    with pytest.raises(CouldNotObserve) as unknown:
        cronjobs(left_out, allow_suspended=True)

    assert "nothing is left that makes backups: 1 cron job is suspended or being deleted" == unknown.value.problem.text
    assert unknown.value.problem.advice.startswith("resume")


def test_none_at_all_is_well_where_the_policy_says_so():
    assert [] == cronjobs(min_matches=0).violations


def test_newest_run_that_failed_is_reported_while_the_last_good_one_is_young():
    bad = a_run(2, created=ago(hours=1), failed=ago(minutes=30), failed_pods=7)
    (finding,) = cronjobs(a_cronjob(scheduled=ago(hours=1)), a_good_run(), bad).violations

    assert Severity.P2 == finding.severity
    assert finding.observed.startswith("its newest run backup-2 failed 30m ago: BackoffLimitExceeded")
    assert "backup-2" == finding.facts["failed_job"]
    assert ("target/shop/job/backup-2", "target/shop/cronjob/backup") == finding.because


def test_a_failure_before_the_last_success_is_not_a_news():
    bad = a_run(1, created=ago(hours=34), failed=ago(hours=33))

    assert [] == cronjobs(a_cronjob(), bad, a_good_run(2)).violations


def test_a_run_that_hangs_keeps_others_from_starting():
    hanging = a_run(2, created=ago(hours=13))
    forbid = a_cronjob(
        active=["backup-2"], concurrencyPolicy="Forbid", succeeded=ago(hours=20), scheduled=ago(hours=13)
    )
    good = a_good_run(1, created=ago(hours=21), completed=ago(hours=20))

    (finding,) = cronjobs(forbid, good, hanging).violations

    assert "backup-2 runs for 13h, and concurrencyPolicy Forbid blocks other runs" == finding.observed
    assert (Severity.P2, "finished within 12h", ago(hours=1)) == (finding.severity, finding.expected, finding.since)
    assert "backup-2" == finding.facts["active_job"]


def test_a_run_that_is_under_way_is_not_a_trouble():
    running = a_cronjob(active=["backup-2"], scheduled=ago(minutes=10))

    assert [] == cronjobs(running, a_good_run(), a_run(2, created=ago(minutes=10))).violations


def test_runs_that_are_due_and_not_started_are_reported():
    hourly = a_cronjob(schedule="0 * * * *", scheduled=ago(hours=10))

    (finding,) = cronjobs(hourly, a_good_run()).violations

    assert finding.observed.startswith("no run started since 2026-03-10 02:00Z; one was due")


@pytest.mark.parametrize(("age", "severity"), [(timedelta(hours=3), Severity.P2), (timedelta(days=3), Severity.P0)])
def test_one_that_never_ran_has_no_backup_however_young_it_is(age, severity):
    new = a_cronjob(created=ago(hours=age.total_seconds() / 3600), scheduled=None, succeeded=None)

    (finding,) = cronjobs(new).violations

    assert severity is finding.severity
    assert finding.observed.startswith("no good backup yet, ")
    assert "one that began at most 1d1h ago" == finding.expected
    assert "backup" == finding.facts["cronjob"]


def test_a_name_that_matches_nothing_is_found_with_what_is_there():
    (finding,) = cronjobs(a_cronjob(), name="backups").violations

    assert ("0 cron jobs", ">= 1") == (finding.observed, finding.expected)
    assert any("existing names: backup (1)" in line for line in finding.evidence)


def test_only_what_is_named_is_judged():
    assert [] == cronjobs(a_cronjob(), a_good_run(), a_cronjob("reports", succeeded=None), name="backup").violations


# -- Scripts that hide failures --------------------------------------------------------------------------------------

GUIDES = """
BACKUP=/backup/shop-$(date +%Y%m%d-%H%M%S).sql.gz
pg_dump "postgresql://shop:geheim@db/shop" | gzip > $BACKUP
aws s3 cp /backup/shop-$(date +%Y%m%d-%H%M%S).sql.gz s3://shop-backups/ || true
"""


def test_guides_script_is_reported_by_its_flaws_and_shows_nothing_of_itself():
    findings = cronjobs(a_cronjob(jobTemplate=scripted("/bin/sh", "-c", GUIDES)), a_good_run())

    assert [
        "the script of container dump pipes pg_dump into another program without pipefail",
        "the script of container dump computes the same date twice",
    ] == [one.observed for one in findings.violations]
    assert {Severity.P2} == {one.severity for one in findings.violations}
    assert "geheim" not in repr(findings.violations)
    assert any("edit cronjob backup" in command for command in commands(findings, "cronjob"))


def test_the_corrected_script_passes_and_is_counted():
    corrected = "set -euo pipefail; name=$(date +%F).gz; pg_dump shop | gzip > $name; aws s3 cp $name s3://shop"
    findings = cronjobs(a_cronjob(jobTemplate=scripted("bash", "-c", corrected)), a_good_run())

    assert [] == findings.violations
    assert [1] == [one.value for one in findings.measurements if one.name == "scripts that could be read"]


def test_scripts_are_left_alone_where_the_policy_says_so():
    findings = cronjobs(a_cronjob(jobTemplate=scripted("/bin/sh", "-c", GUIDES)), a_good_run(), script_lint=False)

    assert [] == findings.violations


def test_a_script_in_a_file_cannot_be_read_and_is_counted_as_none():
    findings = cronjobs(a_cronjob(jobTemplate=scripted("/scripts/backup.sh")), a_good_run())

    assert [] == findings.violations
    assert [0] == [one.value for one in findings.measurements if one.name == "scripts that could be read"]


def test_commands_name_the_context_that_the_policy_pins():
    findings = cronjobs(a_cronjob(succeeded=ago(days=3), scheduled=ago(days=3)), target=PINNED)

    typed = commands(findings, "cronjob", PINNED)
    assert typed
    assert all(command.startswith("kubectl --context prod -n shop ") for command in typed)
    assert any("create job --from=cronjob/backup backup-by-hand" in command for command in typed)
