"""How a bucket is configured: each part as moto has it, at its limits, and what may not be looked at."""

from datetime import timedelta

import pytest

from checks.backup.test_bucket import test_the_bucket_keeps_what_is_written_to_it as check
from opscheck import Findings, S3Target
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.units import Severity
from opscheck.systems.backup.bucket import BackupBucket
from opscheck.systems.stores.bucket import (
    Encryption,
    Lifecycle,
    LifecycleRule,
    ObjectLock,
    PolicyStatus,
    PublicAccess,
    ReadLifecycle,
    ReadVersioning,
    Replication,
    Versioning,
)
from opscheck.testing import NOON, Answers, expect, judge
from tests.checks.backup.stores import typed

TARGET = S3Target(kind="s3", bucket="backups")


def judged(answer, target: S3Target = TARGET, **fields) -> Findings:
    expectation = expect(BackupBucket, target, **{"severity": "P2", **fields})
    return judge(check, expectation, answer if callable(answer) else lambda _: answer)


def observed(answer, **fields) -> list[str]:
    return [one.observed for one in judged(answer, **fields).violations]


def ruled(*rules: LifecycleRule, **fields) -> list[tuple[Severity, str]]:
    return [(one.severity, one.observed) for one in judged(Lifecycle(rules=rules), **fields).violations]


ALL = {
    "versioning": True,
    "object_lock": {"P2": "30d"},
    "public_access_blocked": "P0",
    "policy_not_public": "P0",
    "kept_for": {"P1": "30d"},
    "uploads_gone_after": {"P3": "7d"},
}


def test_a_new_bucket_is_reported_part_by_part(moto_bucket):
    findings = judge(check, expect(BackupBucket, moto_bucket.target, severity="P2", **ALL), moto_bucket.ask)

    assert [
        (Severity.P2, "versioning is not enabled"),
        (Severity.P2, "objects are not locked"),
        (
            Severity.P0,
            "not blocked: BlockPublicAcls, IgnorePublicAcls, BlockPublicPolicy, RestrictPublicBuckets",
        ),
        (Severity.P3, "no rule deletes all unfinished uploads"),
    ] == [(one.severity, one.observed) for one in findings.violations]


def test_a_bucket_that_is_configured_passes(moto_bucket):
    client, name = moto_bucket.client, f"{moto_bucket.bucket}-good"
    client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    client.put_object_lock_configuration(
        Bucket=name,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 30}},
        },
    )
    blocks = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    client.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=dict.fromkeys(blocks, True))
    rule = {
        "ID": "tidy",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "Expiration": {"Days": 30},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    }
    client.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [rule]})
    moto_bucket.target = moto_bucket.target.model_copy(update={"bucket": name})

    findings = judge(check, expect(BackupBucket, moto_bucket.target, severity="P2", **ALL), moto_bucket.ask)

    assert [] == findings.violations
    assert {"default retention", "public access blocks", "backups are deleted after"} < {
        one.name for one in findings.measurements
    }


def test_a_store_that_knows_none_of_it_is_unknown(open_bucket):
    expectation = expect(BackupBucket, open_bucket("rclone").target, severity="P2", public_access_blocked=True)
    place = open_bucket("rclone")

    with pytest.raises(CouldNotObserve) as raised:
        judge(check, expectation, place.ask)

    assert ProblemKind.UNSUPPORTED == raised.value.problem.kind


@pytest.mark.parametrize(
    ("answer", "field", "text"),
    [
        (Versioning(status="Suspended"), {"versioning": True}, "versioning is Suspended"),
        (Encryption(), {"encryption": True}, "not encrypted by default"),
        (
            Encryption(algorithm="AES256"),
            {"encryption": True, "encrypted_with": "aws:kms"},
            "encrypted with AES256",
        ),
        (PublicAccess(block_public_acls=True, ignore_public_acls=True, block_public_policy=True),
         {"public_access_blocked": True}, "not blocked: RestrictPublicBuckets"),
        (PolicyStatus(public=True), {"policy_not_public": True}, "its policy lets everybody in"),
        (Replication(), {"replication": True}, "copied nowhere"),
        (Replication(rules=(("logs/", "other"),)), {"replication": True, "prefix": "db/"}, "only copied: logs/"),
        (ObjectLock(enabled=True), {"object_lock": {"P2": "7d"}}, "locked only where their upload says it"),
    ],
)  # fmt: skip
def test_each_part_that_is_not_as_it_should_be_is_reported(answer, field, text):
    assert [text] == observed(answer, **field)


@pytest.mark.parametrize(
    ("answer", "field"),
    [
        (Versioning(status="Enabled"), {"versioning": True}),
        (Encryption(algorithm="aws:kms"), {"encryption": True, "encrypted_with": "aws:kms"}),
        (Encryption(algorithm="aws:kms"), {"encryption": True}),
        (PolicyStatus(), {"policy_not_public": True}),
        (Replication(rules=(("", "other"),)), {"replication": True, "prefix": "db/"}),
        (Versioning(), {"policy_not_public": True, "versioning": False}),
    ],
)
def test_each_part_that_is_as_it_should_be_passes(answer, field):
    def by_part(query):
        return PolicyStatus() if isinstance(answer, Versioning) and not answer.status else answer

    assert [] == observed(by_part, **field)


@pytest.mark.parametrize(
    ("mode", "wanted", "found"),
    [
        ("GOVERNANCE", None, False),
        ("GOVERNANCE", "compliance", True),
        ("COMPLIANCE", "governance", False),
        ("COMPLIANCE", "compliance", False),
    ],
)
def test_the_strictness_of_the_lock_is_judged_where_it_is_asked_for(mode, wanted, found):
    lock = ObjectLock(enabled=True, mode=mode, days=30)
    strict = {"object_lock_mode": wanted} if wanted else {}

    assert found == bool(observed(lock, object_lock={"P2": "30d"}, **strict))
    assert ["default retention 30d"] == observed(lock, object_lock={"P2": "31d"})


@pytest.mark.parametrize(("days", "severity"), [(30, None), (29, Severity.P2), (6, Severity.P1)])
def test_a_rule_that_deletes_backups_too_early_is_found_at_its_edge(days, severity):
    found = ruled(LifecycleRule(id="tidy", expires_days=days), kept_for={"P2": "30d", "P1": "7d"})

    assert ([(severity, f"backups are deleted after {days}d")] if severity else []) == found


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        (LifecycleRule(expires_days=1, enabled=False), False),
        (LifecycleRule(expires_days=1, prefix="logs/"), False),
        (LifecycleRule(expires_days=1, prefix="db/"), True),
        (LifecycleRule(expires_days=1, prefix="db/orders/"), True),
        (LifecycleRule(expires_days=1, prefix=""), True),
        (LifecycleRule(expires_days=1, tagged=True), True),
        (LifecycleRule(id="right", expires_days=1), False),
        (LifecycleRule(expires_on="2026-03-05"), True),
        (LifecycleRule(expires_on="2020-01-01"), True),
        (LifecycleRule(expires_on="2027-01-01"), False),
        (LifecycleRule(abort_days=1, noncurrent_days=1), False),
    ],
)
def test_only_rules_that_delete_backups_count(rule, found):
    assert found == bool(ruled(rule, kept_for={"P1": "30d"}, prefix="db/", except_rules=["right"]))


def test_a_day_that_is_over_deletes_at_once():
    assert [(Severity.P1, "backups are deleted after 0s (on 2020-01-01)")] == ruled(
        LifecycleRule(expires_on="2020-01-01"), kept_for={"P1": "30d"}
    )


def test_a_rule_that_archives_backups_early_is_found():
    rule = LifecycleRule(id="cold", archives=(("GLACIER", 1.0), ("STANDARD_IA", 0.0)))

    assert [(Severity.P3, "backups are archived after 1d (to GLACIER)")] == ruled(rule, at_hand_for={"P3": "7d"})


def test_rule_that_archives_from_a_day_on_archives_all_there_is_then():
    soon, later = NOON + timedelta(days=1), NOON + timedelta(days=9)
    rules = [LifecycleRule(id=f"{day:%d}", archives_on=(("GLACIER", f"{day:%Y-%m-%d}"),)) for day in (soon, later)]

    assert [(Severity.P3, f"backups are archived after 12h (to GLACIER, on {soon:%Y-%m-%d})")] == ruled(
        *rules, at_hand_for={"P3": "7d"}
    )


def test_old_versions_must_stay_and_must_go():
    rule = LifecycleRule(id="tidy", noncurrent_days=3, noncurrent_kept=2)

    assert [(Severity.P1, "old versions are deleted after 3d (but the newest 2)")] == ruled(
        rule, noncurrent_kept_for={"P1": "7d"}
    )
    assert [] == ruled(rule, noncurrent_gone_after={"P3": "7d"})
    assert [(Severity.P3, "old versions are deleted after 3d (but the newest 2)")] == ruled(
        rule, noncurrent_gone_after={"P3": "2d"}
    )
    assert [(Severity.P3, "no rule deletes all old versions")] == ruled(noncurrent_gone_after={"P3": "7d"})


@pytest.mark.parametrize(
    "rule",
    [
        LifecycleRule(abort_days=1, prefix="db/orders/"),
        LifecycleRule(abort_days=1, tagged=True),
        LifecycleRule(abort_days=1, larger_than=5),
        LifecycleRule(abort_days=1, enabled=False),
    ],
)
def test_a_rule_about_some_objects_only_tidies_no_bucket(rule):
    assert [(Severity.P3, "no rule deletes all unfinished uploads under db/")] == ruled(
        rule, uploads_gone_after={"P3": "7d"}, prefix="db/"
    )


def test_a_part_that_may_not_be_looked_at_hides_no_other():
    def answer(query):
        if isinstance(query, ReadVersioning):
            return Problem(kind=ProblemKind.DENIED, text="s3:GetBucketVersioning is not allowed")
        return Lifecycle(rules=(LifecycleRule(expires_days=1),))

    expectation = expect(BackupBucket, TARGET, severity="P2", versioning=True, kept_for={"P1": "30d"})
    findings = Findings(expectation)
    with pytest.raises(CouldNotObserve) as raised:
        check(expectation, Answers(answer, NOON), findings)

    assert "s3:GetBucketVersioning is not allowed" == raised.value.problem.text
    assert ["backups are deleted after 1d"] == [one.observed for one in findings.violations]


def test_only_what_is_named_is_asked():
    expectation = expect(BackupBucket, TARGET, severity="P2", versioning=True, kept_for={"P1": "30d"})

    assert [ReadVersioning("target"), ReadLifecycle("target")] == list(expectation.queries())
    assert timedelta(days=30).total_seconds() == expectation.limits()["kept_for"].steps[0][1]


@pytest.mark.parametrize(
    ("answer", "fields", "command"),
    [
        (Versioning(), {"versioning": True}, "put-bucket-versioning --bucket backups"),
        (PublicAccess(), {"public_access_blocked": True}, "put-public-access-block --bucket backups"),
        (Encryption(), {"encryption": True}, "put-bucket-encryption --bucket backups"),
        (ObjectLock(), {"object_lock": {"P2": "7d"}}, "put-object-lock-configuration --bucket backups"),
        (PolicyStatus(public=True), {"policy_not_public": True}, "get-bucket-policy --bucket backups"),
        (
            Replication(rules=(("logs/", "copy"),)),
            {"replication": True, "prefix": "db/"},
            "get-bucket-replication --bucket backups",
        ),
        (
            Lifecycle(rules=(LifecycleRule(expires_days=30),)),
            {"uploads_gone_after": {"P3": "7d"}},
            "get-bucket-lifecycle-configuration --bucket backups",
        ),
    ],
)
def test_each_trouble_has_the_one_command_that_mends_it(answer, fields, command):
    (finding,) = judged(answer, **fields).violations

    (shown,) = typed(expect(BackupBucket, TARGET, severity="P2", **fields), finding)
    assert shown.startswith(f"aws s3api {command}")


@pytest.mark.parametrize(
    ("answer", "fields"),
    [(Replication(), {"replication": True}), (Lifecycle(), {"uploads_gone_after": {"P3": "7d"}})],
    ids=["replication", "lifecycle"],
)
def test_missing_configuration_has_no_command_that_reads_it(answer, fields):
    (finding,) = judged(answer, **fields).violations

    assert finding.remediation.commands == ()
