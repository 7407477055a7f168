"""The configuration of a bucket of backups."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import partial
from typing import Literal, TypeVar

from opscheck import Findings, Observe
from opscheck.core.findings import judge_all
from opscheck.core.remedy import Remedy
from opscheck.core.units import Duration, Graded, Severity
from opscheck.systems.backup.bucket import (
    PUBLIC,
    RULES,
    UNBLOCKED,
    UNENCRYPTED,
    UNLOCKED,
    UNREPLICATED,
    UNVERSIONED,
    BackupBucket,
)
from opscheck.systems.stores.bucket import (
    ARCHIVES,
    BucketQuery,
    Encryption,
    Lifecycle,
    LifecycleRule,
    PolicyStatus,
    PublicAccess,
    ReadEncryption,
    ReadLifecycle,
    ReadObjectLock,
    ReadPolicyStatus,
    ReadPublicAccess,
    ReadReplication,
    ReadVersioning,
    Replication,
    Versioning,
)

A = TypeVar("A")

_DAY_S = 86400.0


def test_the_bucket_keeps_what_is_written_to_it(
    expectation: BackupBucket, observe: Observe, findings: Findings
) -> None:
    """
    The bucket protects backups from mistakes and from stolen keys, and deletes none too early.

    Whoever breaks in deletes the backups first; and a lifecycle rule deletes them every night, as it was told to.
    """
    case = _Case(expectation, observe, findings)
    judge_all(
        partial(case.judge_part, expectation.versioning, ReadVersioning, _versioning),
        case.judge_object_lock,
        partial(case.judge_part, expectation.encryption, ReadEncryption, _encryption),
        partial(case.judge_part, expectation.public_access_blocked, ReadPublicAccess, case.public_access),
        partial(case.judge_part, expectation.policy_not_public, ReadPolicyStatus, _policy),
        partial(case.judge_part, expectation.replication, ReadReplication, _replication),
        case.judge_lifecycle,
    )


Fault = tuple[Remedy, str, str] | None
"""The remedy, the observed and the expected state of a part; None where it is as it should be."""


def _versioning(_: BackupBucket, found: Versioning) -> Fault:
    observed = f"versioning is {found.status or 'not enabled'}"
    return None if found.status == "Enabled" else (UNVERSIONED, observed, "Enabled")


def _encryption(expectation: BackupBucket, found: Encryption) -> Fault:
    wanted, algorithm = expectation.encrypted_with, found.algorithm
    if algorithm and wanted in {None, algorithm}:
        return None
    observed = f"encrypted with {algorithm}" if algorithm else "not encrypted by default"
    return UNENCRYPTED, observed, wanted or "encrypted"


def _policy(_: BackupBucket, found: PolicyStatus) -> Fault:
    return (PUBLIC, "its policy lets everybody in", "a policy that is not public") if found.public else None


def _replication(expectation: BackupBucket, found: Replication) -> Fault:
    if any(expectation.prefix.startswith(begins) for begins, _ in found.rules):
        return None
    only = ", ".join(begins for begins, _ in found.rules)
    return UNREPLICATED, f"only copied: {only}" if found.rules else "copied nowhere", "copied to another bucket"


@dataclass(frozen=True)
class Action:
    """An action of a lifecycle rule on an object, and the age at which it happens."""

    rule: LifecycleRule
    after: Duration
    detail: str = ""

    @property
    def rule_name(self) -> str:
        """The rule in reports."""
        return f"rule {self.rule.id}" if self.rule.id else f"the rule about {self.rule.prefix or 'all objects'}"


@dataclass(frozen=True)
class _Case:
    """A bucket and its expectation."""

    expectation: BackupBucket
    observe: Observe
    findings: Findings

    @property
    def address(self) -> str:
        return self.expectation.target.address

    def read(self, kind: type[BucketQuery[A]]) -> A:
        return self.observe(kind(self.expectation.target.name))

    def find(self, remedy: Remedy, observed: str, expected: str, severity: Severity | None = None) -> None:
        self.findings.add(
            subject=self.address, observed=observed, expected=expected, severity=severity, remedies=(remedy,)
        )

    def judge_part(
        self,
        wanted: Literal[True] | Severity | None,
        kind: type[BucketQuery[A]],
        judge: Callable[[BackupBucket, A], Fault],
    ) -> None:
        """Judge a part that is either as it should be or not, where the policy names it."""
        if wanted is not None and (fault := judge(self.expectation, self.read(kind))) is not None:
            self.find(*fault, self.expectation.severity_of(wanted))

    def public_access(self, _: BackupBucket, found: PublicAccess) -> Fault:
        blocks = {
            "BlockPublicAcls": found.block_public_acls,
            "IgnorePublicAcls": found.ignore_public_acls,
            "BlockPublicPolicy": found.block_public_policy,
            "RestrictPublicBuckets": found.restrict_public_buckets,
        }
        self.findings.measure("public access blocks", sum(blocks.values()), subject=self.address)
        missing = ", ".join(name for name, there in blocks.items() if not there)
        return (UNBLOCKED, f"not blocked: {missing}", "all four public access blocks") if missing else None

    def judge_object_lock(self) -> None:
        limit, mode = self.expectation.object_lock, self.expectation.object_lock_mode
        if limit is None:
            return
        found, wanted = self.read(ReadObjectLock), f"locked for at least {limit.steps[0][1]}"
        if not found.enabled:
            self.find(UNLOCKED, "objects are not locked", wanted)
        elif not found.mode:
            self.find(UNLOCKED, "locked only where their upload says it", wanted)
        else:
            days = Duration(found.days * _DAY_S)
            self.findings.grade("default retention", days, limit, subject=self.address, remedies=(UNLOCKED,))
            if mode is not None and found.mode.lower() not in {mode, "compliance"}:
                self.find(UNLOCKED, f"locked in {found.mode} mode, which some may lift", mode.upper())

    def judge_lifecycle(self) -> None:
        wanted, now = self.expectation, self.observe.now
        if ReadLifecycle(wanted.target.name) not in wanted.queries():
            return
        found = self.read(ReadLifecycle)
        rules, all_over = _overlapping(found, wanted), _covering(found, wanted)
        for name, limit, actions in (
            ("backups are deleted after", wanted.kept_for, _deletions(rules, now)),
            ("backups are archived after", wanted.at_hand_for, _archivings(rules, now)),
            ("old versions are deleted after", wanted.noncurrent_kept_for, _version_deletions(rules)),
        ):
            for action in actions if limit is not None else ():
                self._grade(name, limit, action)
        self._judge_deletion("old versions", wanted.noncurrent_gone_after, _version_deletions(all_over))
        self._judge_deletion("unfinished uploads", wanted.uploads_gone_after, _upload_deletions(all_over))

    def _judge_deletion(self, what: str, limit: Graded[Duration] | None, actions: Sequence[Action]) -> None:
        """Judge the earliest deletion, of which there must be one."""
        if limit is not None and actions:
            self._grade(f"{what} are deleted after", limit, min(actions, key=lambda action: action.after))
        elif limit is not None:
            where = f" under {self.expectation.prefix}" if self.expectation.prefix else ""
            severity, largest = limit.steps[-1]
            self.find(RULES, f"no rule deletes all {what}{where}", f"deleted within {largest}", severity)

    def _grade(self, name: str, limit: Graded[Duration] | None, action: Action) -> None:
        subject = f"{self.address}, {action.rule_name}"
        self.findings.grade(name, action.after, limit, subject=subject, detail=action.detail, remedies=(RULES,))


def _overlapping(lifecycle: Lifecycle, expectation: BackupBucket) -> list[LifecycleRule]:
    """The rules for at least some of the backups."""
    return [
        rule
        for rule in lifecycle.rules
        if rule.enabled
        and rule.id not in expectation.except_rules
        and (rule.prefix.startswith(expectation.prefix) or expectation.prefix.startswith(rule.prefix))
    ]


def _covering(lifecycle: Lifecycle, expectation: BackupBucket) -> list[LifecycleRule]:
    """The rules for all of the backups."""
    return [
        rule
        for rule in lifecycle.rules
        if rule.enabled
        and expectation.prefix.startswith(rule.prefix)
        and not (rule.tagged or rule.larger_than or rule.smaller_than)
    ]


def _deletions(rules: Iterable[LifecycleRule], now: datetime) -> list[Action]:
    """The deletions of objects, the earliest first."""
    actions = [
        Action(rule, Duration(rule.expires_days * _DAY_S), "objects with certain tags" if rule.tagged else "")
        for rule in rules
        if rule.expires_days is not None
    ]
    dated = [Action(rule, _until(rule.expires_on, now), f"on {rule.expires_on}") for rule in rules if rule.expires_on]
    return sorted([*actions, *dated], key=lambda action: action.after)


def _until(day: str, now: datetime) -> Duration:
    # From that day on the rule deletes daily.
    then = datetime.combine(date.fromisoformat(day), time(), UTC)
    return Duration(max(0.0, (then - now).total_seconds()))


def _archivings(rules: Sequence[LifecycleRule], now: datetime) -> list[Action]:
    """The moves of objects to an archive."""
    dated = [
        Action(rule, _until(day, now), f"to {storage}, on {day}")
        for rule in rules
        for storage, day in rule.archives_on
        if storage in ARCHIVES
    ]
    return dated + [
        Action(rule, Duration(days * _DAY_S), f"to {storage}")
        for rule in rules
        for storage, days in rule.archives
        if storage in ARCHIVES
    ]


def _version_deletions(rules: Iterable[LifecycleRule]) -> list[Action]:
    """The deletions of noncurrent versions."""
    return [
        Action(
            rule,
            Duration(rule.noncurrent_days * _DAY_S),
            f"but the newest {rule.noncurrent_kept}" if rule.noncurrent_kept else "",
        )
        for rule in rules
        if rule.noncurrent_days is not None
    ]


def _upload_deletions(rules: Iterable[LifecycleRule]) -> list[Action]:
    """The deletions of unfinished uploads."""
    return [Action(rule, Duration(rule.abort_days * _DAY_S)) for rule in rules if rule.abort_days is not None]
