"""Backups by what a listing tells: on two S3 servers and in a folder, and each trap by itself."""

import subprocess
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from opscheck import Findings, FolderTarget, S3Target
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.units import Severity
from opscheck.systems.backup.objects import BackupObjects
from opscheck.systems.stores.content import ManifestValue, ReadManifest
from opscheck.systems.stores.listing import Listing, ListUploads, Upload, Uploads
from opscheck.testing import NOON, Answers, expect, judge
from tests.checks.backup.stores import (
    DAILY,
    DAY,
    HOUR,
    backup,
    commands,
    key_of,
    measured,
    now,
    objects,
    severities,
    there,
    told,
)
from tests.servers.s3 import FolderPlace

AGE = {"P2": "26h", "P1": "2d"}


def put_daily(place, days: range, size: int = 5000) -> None:
    """A backup of each of these days ago, and an hour."""
    for ago in days:
        at = now() - ago * DAY - HOUR
        place.put(key_of(at), b"x" * size, modified=at)


# On real stores


def test_young_large_and_many_passes_and_is_measured(store):
    put_daily(store, range(10))

    findings = there(
        store,
        names=DAILY,
        age=AGE,
        size_floor={"P2": "1KB"},
        size_share={"P2": "80%"},
        count={"P2": 7},
        kept_for="8d",
    )

    assert [] == findings.violations
    numbers = measured(findings)
    assert 3600 <= numbers["age of the newest backup"] < 3700
    assert {"size of the newest backup": 5000, "size compared with the median": 100, "backups of the last 8d": 8} == {
        name: value for name, value in numbers.items() if name != "age of the newest backup"
    }


@pytest.mark.parametrize(("days", "severity"), [(1, None), (2, Severity.P1), (300, Severity.P1)])
def test_the_newest_is_held_to_its_age_however_old_it_is(store, days, severity):
    put_daily(store, range(days, days + 1))

    findings = there(store, names=DAILY, age=AGE)

    assert [severity] if severity else [] == severities(findings)
    assert days * 86400 + 3600 <= measured(findings)["age of the newest backup"] < days * 86400 + 3700


def test_nothing_at_all_says_what_is_there_instead(store):
    store.put("logs/today.txt")
    store.put("db/other.txt")

    (finding,) = there(store, names=DAILY, age=AGE).violations

    assert (Severity.P1, f"{store.target.address}/{DAILY}") == (finding.severity, finding.subject)
    assert "nothing under db/backup-; there are db/other.txt" == finding.observed


def test_names_that_do_not_fit_are_reported(store):
    store.put("db/backup-yesterday.dump")

    (finding,) = there(store, names=DAILY, age=AGE).violations

    assert "no backup among 1 other objects under db/backup-, such as db/backup-yesterday.dump" == finding.observed


def test_each_expected_series_has_its_own_newest(store):
    for series, ago in (("orders", HOUR), ("customers", 5 * DAY), ("sessions", 5 * DAY)):
        at = now() - ago
        store.put(f"db/{series}/{at:%Y%m%d-%H%M%S}.dump", modified=at)

    findings = there(store, names="db/{series}/%Y%m%d-%H%M%S.dump", series=["orders", "customers", "invoices"], age=AGE)

    stale, missing = sorted(findings.violations, key=lambda one: one.subject)
    assert "db/customers/" in stale.subject
    assert "db/invoices/%Y%m%d-%H%M%S.dump" in missing.subject
    assert "nothing under db/invoices/; there are db/customers/, db/orders/, db/sessions/" == missing.observed


def test_series_that_are_not_named_are_found(store):
    for series, ago in (("orders", HOUR), ("customers", 5 * DAY)):
        at = now() - ago
        store.put(f"{at:%Y/%m/%d}/{series}.dump", modified=at)

    (finding,) = there(store, names="%Y/%m/%d/{series}.dump", age=AGE).violations

    assert "customers" in finding.subject


def test_a_series_after_the_date_that_has_stopped_is_missed(store):
    for series, ago in (("orders", HOUR), ("orders", DAY + HOUR), ("customers", 50 * DAY)):
        at = now() - ago
        store.put(f"{at:%Y/%m/%d}/{series}.dump", modified=at)

    (finding,) = there(store, names="%Y/%m/%d/{series}.dump", series=["orders", "customers"], age=AGE).violations

    assert (Severity.P1, f"{store.target.address}/%Y/%m/%d/customers.dump") == (finding.severity, finding.subject)
    assert "no backup of it from 20" in finding.observed


def test_an_old_one_that_is_copied_again_looks_new_and_is_reported(store):
    at = now() - 30 * DAY
    store.put(key_of(at), modified=now() - HOUR)

    age, copied = there(store, names=DAILY, age=AGE).violations

    assert (Severity.P1, Severity.P2) == (age.severity, copied.severity)
    assert "long after it was begun, by its own time; check for a copied old backup" in copied.observed


def test_by_the_time_of_writing_an_old_one_that_is_copied_again_passes(store):
    # That is why the policy has to say `modified` for names without a date.
    store.put(key_of(now() - 30 * DAY), modified=now() - HOUR)

    assert [] == there(store, names=DAILY, age=AGE, time_from="modified").violations


def test_the_newest_by_time_of_writing_may_be_first_by_name(store):
    store.put("db/z.dump", modified=now() - 5 * DAY)
    store.put("db/a.dump", modified=now() - HOUR)

    findings = there(store, names="db/*.dump", age=AGE, time_from="modified")

    assert [] == findings.violations
    assert f"{store.target.address}/db/a.dump" == findings.measurements[0].subject


def test_names_in_local_time_are_read_in_their_zone(store):
    zone = ZoneInfo("Asia/Tokyo")
    at = now() - HOUR
    store.put(f"{at.astimezone(zone):db/backup-%Y%m%d-%H%M%S.dump}", modified=at)

    findings = there(store, names=DAILY, age=AGE, time_zone="Asia/Tokyo")

    assert [] == findings.violations
    assert 3600 <= measured(findings)["age of the newest backup"] < 3700


def test_names_in_another_zone_than_the_policy_says_are_in_the_future(store):
    at = now() - HOUR
    store.put(f"{at.astimezone(ZoneInfo('Asia/Tokyo')):db/backup-%Y%m%d-%H%M%S.dump}", modified=at)

    (finding,) = there(store, names=DAILY, age=AGE).violations

    assert Severity.P1 == finding.severity
    assert "begun in the future" in finding.observed
    assert "`time_zone`" in finding.expected


def test_an_empty_gzip_is_found_any_the_limits(store):
    packed = subprocess.run(["sh", "-c", "false | gzip"], capture_output=True, check=True).stdout
    at = now() - HOUR
    store.put(f"{at:db/backup-%Y%m%d-%H%M%S.sql.gz}", packed, modified=at)

    (finding,) = there(store, names="db/backup-%Y%m%d-%H%M%S.sql.gz", age=AGE).violations

    assert (20, "20B: no larger than a file with nothing in it") == (len(packed), finding.observed)


def test_folder_that_is_one_backup_is_judged_by_its_sum_and_its_name(store):
    for ago, size in ((2, 100), (3, 100), (4, 100), (1, 10)):
        at = now() - ago * HOUR
        for part in range(3):
            store.put(f"base/{at:%Y%m%d-%H%M%S}/part-{part}", b"x" * size, modified=at + timedelta(minutes=part))

    findings = there(store, names="base/%Y%m%d-%H%M%S/", age=AGE, size_share={"P1": "50%"})

    assert [Severity.P1] == severities(findings)
    assert 30 == measured(findings)["size of the newest backup"]


def test_a_manifest_says_when_the_data_was_read(store):
    store.put("db/a.dump", modified=now())
    store.put("db/a.dump.json", b'{"start": "%b"}' % (now() - 3 * DAY).isoformat().encode(), modified=now())

    age, copied = there(store, names="db/*.dump", age=AGE, manifest={"key": "{key}.json", "time": "start"}).violations

    assert "age of the newest backup 3d" in age.observed
    assert "a copied old backup" in copied.observed


def test_a_manifest_that_is_not_there_is_a_backup_that_is_not_whole(store):
    store.put("db/a.dump", modified=now())

    (finding,) = there(store, names="db/*.dump", age=AGE, manifest={"key": "{key}.json", "time": "start"}).violations

    assert (Severity.P1, "has no manifest next to it") == (finding.severity, finding.observed)


def test_the_retention_counts_what_is_within_it(store):
    put_daily(store, range(0, 40, 2))

    (finding,) = there(store, names=DAILY, count={"P2": 30}, kept_for="30d").violations

    assert "backups of the last 30d 15 (from" in finding.observed


# Versions and uploads


def keep_versions(place) -> None:
    place.client.put_bucket_versioning(Bucket=place.bucket, VersioningConfiguration={"Status": "Enabled"})


def test_each_version_of_a_key_is_a_backup(moto_bucket):
    keep_versions(moto_bucket)
    for _ in range(3):
        moto_bucket.put("latest.dump")

    findings = there(moto_bucket, names="latest.dump", versions=True, time_from="modified", age=AGE, count={"P2": 3})

    assert ([], 3) == (findings.violations, measured(findings)["backups"])


def test_a_delete_marker_on_top_is_reported_though_versions_are_there(moto_bucket):
    keep_versions(moto_bucket)
    moto_bucket.put("latest.dump")
    moto_bucket.client.delete_object(Bucket=moto_bucket.bucket, Key="latest.dump")

    (finding,) = there(moto_bucket, names="latest.dump", versions=True, time_from="modified", age=AGE).violations

    assert "deleted" in finding.observed
    assert "its earlier versions are there" in finding.observed


def test_without_versions_what_was_deleted_is_not_there(moto_bucket):
    keep_versions(moto_bucket)
    moto_bucket.put("latest.dump")
    moto_bucket.client.delete_object(Bucket=moto_bucket.bucket, Key="latest.dump")

    (finding,) = there(moto_bucket, names="latest.dump", time_from="modified", age=AGE).violations

    assert "nothing under latest.dump" == finding.observed


def test_an_upload_that_was_not_finished_is_measured(moto_bucket):
    put_daily(moto_bucket, range(1))
    moto_bucket.client.create_multipart_upload(Bucket=moto_bucket.bucket, Key="db/backup-1")

    findings = there(moto_bucket, names=DAILY, age=AGE, unfinished_uploads={"P3": "9999d"})  # moto's began in 2010

    assert ([], 1) == (findings.violations, measured(findings)["unfinished uploads"])


def test_unfinished_upload_is_reported_with_the_abort_command():
    upload = Upload(key="db/backup-1", upload="id-1", started=NOON - 8 * DAY)

    def answer(query):
        if isinstance(query, ListUploads):
            return Uploads(oldest=(upload,), count=4)
        return Listing(backups=(backup(),))

    (finding,) = told(answer=answer, age=AGE, unfinished_uploads={"P3": "7d"}).violations

    assert (Severity.P3, "age of the oldest unfinished upload 8d (4 in all)") == (finding.severity, finding.observed)
    (command,) = commands(finding)
    assert command.startswith("aws s3api abort-multipart-upload --bucket backups --key db/backup-1 --upload-id id-1")


# Traps, one by one


@pytest.mark.parametrize(
    ("ago", "severity"),
    [
        (timedelta(hours=26), None),
        (timedelta(hours=26, seconds=1), Severity.P2),
        (timedelta(days=2), Severity.P2),
        (timedelta(days=2, seconds=1), Severity.P1),
    ],
)
def test_the_age_is_judged_at_its_edges(ago, severity):
    assert ([severity] if severity else []) == severities(told(backup(ago), age=AGE))


def test_one_of_the_future_does_not_hide_that_the_others_are_old():
    findings = told(backup(-9 * HOUR), backup(3 * DAY), age=AGE)

    assert [Severity.P2, Severity.P1] == severities(findings)
    assert "9h ahead" in findings.violations[0].observed


def test_a_clock_that_is_a_little_ahead_is_not_a_future():
    findings = told(backup(timedelta(minutes=-10)), age=AGE)

    assert ([], 0) == (findings.violations, measured(findings)["age of the newest backup"])


def test_name_that_is_later_than_the_time_of_writing_is_in_another_zone():
    (finding,) = told(backup(HOUR, modified=NOON - 3 * HOUR), age=AGE).violations

    assert Severity.P2 == finding.severity
    assert "before it was begun" in finding.observed


@pytest.mark.parametrize(
    ("written", "age"),
    [
        (HOUR, HOUR),  # in that day
        (-13 * HOUR, -12 * HOUR),  # soon after its end
        (-24 * HOUR, 12 * HOUR),  # copied anew
        (20 * HOUR, 12 * HOUR),  # before its own day
    ],
)
def test_name_with_only_a_day_is_refined_by_the_time_of_writing(written, age):
    only_day = backup(key="db/20260301.dump", modified=NOON - written)
    listing = Listing(backups=(only_day,))
    expectation = expect(BackupObjects, S3Target(kind="s3", bucket="b"), names="db/%Y%m%d.dump", age=AGE)

    (series,) = expectation.each_series(lambda _: listing)

    assert NOON - age == series.newest.at


def test_a_long_upload_is_not_a_copy():
    assert [] == told(backup(8 * HOUR, modified=NOON - 2 * HOUR), age=AGE).violations
    assert 1 == len(told(backup(8 * HOUR, modified=NOON - HOUR), age=AGE).violations)
    assert [] == told(backup(8 * HOUR, modified=NOON - HOUR), age=AGE, upload_within="12h").violations


@pytest.mark.parametrize(
    ("suffix", "size", "is_empty"),
    [
        (".dump", 0, True),
        (".dump", 1, False),
        (".sql.gz", 20, True),
        (".sql.gz", 47, True),  # with the name of what was packed
        (".sql.gz", 60, False),
        (".sql.zst", 13, True),
        (".sql.zst", 14, False),
        (".sql.xz", 32, True),
        (".sql.bz2", 14, True),
        (".tgz", 20, True),
    ],
)
def test_empty_backup_is_found_by_its_size(suffix, size, is_empty):
    key = f"db/backup-20260301-110000{suffix}"

    findings = told(backup(key=key, size=size), names=f"db/backup-%Y%m%d-%H%M%S{suffix}", age=AGE, count={"P2": 1})

    # An empty one does not count as one either.
    assert ([Severity.P2, Severity.P1] if is_empty else []) == severities(findings)


def test_size_is_compared_with_the_median_and_not_with_the_one_before():
    sizes = [400, 410, 1000, 1000, 1000, 1000, 1000, 1000]
    backups = [backup(days * DAY + HOUR, size) for days, size in enumerate(sizes)]

    (finding,) = told(*backups, size_share={"P2": "80%", "P1": "50%"}).violations

    assert (Severity.P1, "size compared with the median 40% (400B of 1KB, as 7 before it)") == (
        finding.severity,
        finding.observed,
    )


def test_a_decay_that_creeps_is_found_though_no_step_is_large():
    backups = [backup(days * DAY + HOUR, int(10_000 * 0.93 ** (20 - days))) for days in range(20)]

    assert [Severity.P2] == severities(told(*backups, size_share={"P2": "80%"}))


def test_empty_ones_are_not_what_is_usual():
    backups = [backup(days * DAY + HOUR, 1000 if days in {0, 5, 6, 7} else 0) for days in range(8)]

    assert 100 == measured(told(*backups, size_share={"P2": "80%"}))["size compared with the median"]


def test_with_too_few_before_it_nothing_is_said_of_the_size_but_all_else_is():
    with pytest.raises(CouldNotObserve) as raised:
        told(backup(), backup(DAY), size_share={"P2": "80%"})

    assert ProblemKind.FIRST_SAMPLE == raised.value.problem.kind
    assert "first samples: 1 backups before" in raised.value.problem.text


@pytest.mark.parametrize(("storage", "found"), [("GLACIER", True), ("DEEP_ARCHIVE", True), ("GLACIER_IR", False)])
def test_a_newest_one_in_an_archive_takes_hours_to_read(storage, found):
    findings = told(backup(storage_class=storage), backup(DAY, storage_class="GLACIER"), age=AGE)

    assert found == bool(findings.violations)
    assert [] == told(backup(storage_class=storage), age=AGE, archived=True).violations


def test_rotated_backup_in_a_versioned_bucket_is_not_a_finding():
    old = backup(9 * DAY)
    marker = backup(9 * DAY, deleted=True, size=0, modified=NOON - DAY)

    def answer(_):
        return Listing(backups=(marker, old, backup()))

    assert [] == told(answer=answer, age=AGE, versions=True).violations


def test_only_markers_are_not_backup():
    (finding,) = told(backup(deleted=True), age=AGE, versions=True).violations

    assert "all that were there are deleted" in finding.observed


@pytest.mark.parametrize(
    ("value", "problems"),
    [
        ((NOON - HOUR).isoformat(), 0),
        ("2026-03-01T11:00:00", 0),
        ((NOON - HOUR).timestamp(), 0),
        ((NOON - HOUR).timestamp() * 1000, 0),
        ("2026-03-01T13:00:00+02:00", 0),
        ("yesterday", 1),
        (None, 1),
        (True, 1),
        (1e300, 1),
    ],
)
def test_the_time_in_a_manifest_is_read_in_each_form_or_told(value, problems):
    def answer(query):
        if isinstance(query, ReadManifest):
            return ManifestValue(value=value)
        return Listing(backups=(backup(key="db/a.dump"),))

    findings = told(answer=answer, names="db/*.dump", age=AGE, manifest={"key": "{key}.json", "time": "start"})

    assert problems == len(findings.violations)
    assert (problems == 0) == ("age of the newest backup" in measured(findings))


def test_newest_by_its_manifest_may_not_be_that_by_time_of_writing():
    times = {"db/a.dump.json": NOON - HOUR, "db/b.dump.json": NOON - 9 * DAY}

    def answer(query):
        if isinstance(query, ReadManifest):
            return ManifestValue(value=times[query.key].isoformat())
        copied = backup(key="db/b.dump", modified=NOON)
        return Listing(backups=(backup(key="db/a.dump", modified=NOON - HOUR), copied))

    findings = told(answer=answer, names="db/*.dump", age=AGE, manifest={"key": "{key}.json", "time": "start"})

    assert ([], 3600) == (findings.violations, measured(findings)["age of the newest backup"])


def test_one_series_that_cannot_be_listed_hides_no_other():
    def answer(query):
        if "orders" in query.template:
            raise CouldNotObserve(query, Problem(kind=ProblemKind.LATE, text="late"))
        return Listing(backups=())

    expectation = expect(
        BackupObjects,
        S3Target(kind="s3", bucket="b"),
        names="db/{series}/%Y%m%d.dump",
        series=["orders", "customers"],
        age=AGE,
    )
    findings = Findings(expectation)
    with pytest.raises(CouldNotObserve):
        objects(expectation, Answers(answer, NOON), findings)

    assert 1 == len(findings.violations)


# What to type


def test_commands_name_the_bucket_and_the_cron_job():
    (finding,) = told(backup(9 * DAY), age=AGE, cronjob="prod/dump").violations

    assert [
        "kubectl -n prod create job --from=cronjob/dump dump-by-hand",
        "aws s3 ls --recursive s3://backups/db/backup- | sort | tail  # newest last",
    ] == commands(finding, cronjob="prod/dump")


def test_commands_ask_the_store_that_the_policy_names(bucket):
    target = bucket.target.model_copy(update={"endpoint_url": bucket.variables["AWS_ENDPOINT_URL"]})
    bucket.target = target

    (finding,) = there(bucket, names=DAILY, age=AGE).violations

    (command,) = commands(finding, target)
    asked = f"aws --endpoint-url {target.endpoint_url} s3 ls --recursive s3://{target.bucket}/db/backup- | sort | tail"
    assert f"{asked}  # newest last" == command


def test_commands_list_a_folder(tmp_path):
    target = FolderTarget(kind="folder", path=str(tmp_path))
    place = FolderPlace(tmp_path)
    place.put("db/backup-20260101-000000.dump")
    finding = there(place, names=DAILY, age=AGE).violations[0]

    (command,) = commands(finding, target)
    assert f"ls -lt {tmp_path}/db | head  # newest first" == command
    assert "backup-20260101" in subprocess.run(["sh", "-c", command], capture_output=True, check=True, text=True).stdout


def test_facts_are_those_of_the_kind_of_store():
    for target, name in (
        (S3Target(kind="s3", bucket="b"), "location"),
        (FolderTarget(kind="folder", path="/m"), "folder"),
    ):
        expectation = expect(BackupObjects, target, names=DAILY, age=AGE)
        (finding,) = judge(objects, expectation, lambda _: Listing(backups=())).violations

        assert {name} == finding.facts.keys()
        assert expectation.former_fact_names["own_listed"].fact == "location"


def test_a_time_that_is_years_ago_is_a_time():
    old = datetime(2019, 1, 1, tzinfo=UTC)

    assert [Severity.P1] == severities(told(backup(key=key_of(old), modified=old), age=AGE))
