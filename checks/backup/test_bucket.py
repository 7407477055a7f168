"""The configuration of a bucket of backups."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

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
    Lifecycle,
    LifecycleRule,
    ReadEncryption,
    ReadLifecycle,
    ReadObjectLock,
    ReadPolicyStatus,
    ReadPublicAccess,
    ReadReplication,
    ReadVersioning,
)

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
        case.judge_versioning,
        case.judge_object_lock,
        case.judge_encryption,
        case.judge_public_access,
        case.judge_policy,
        case.judge_replication,
        case.judge_lifecycle,
    )


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

    def find(self, remedy: Remedy, observed: str, expected: str, severity: Severity | None = None) -> None:
        self.findings.add(
            subject=self.expectation.target.address,
            observed=observed,
            expected=expected,
            severity=severity,
            remedies=(remedy,),
        )

    def judge_versioning(self) -> None:
        wanted = self.expectation.versioning
        if wanted is None:
            return
        status = self.observe(ReadVersioning(self.expectation.target.name)).status
        if status != "Enabled":
            observed = f"versioning is {status or 'not enabled'}"
            self.find(UNVERSIONED, observed, "Enabled", self.expectation.severity_of(wanted))

    def judge_object_lock(self) -> None:
        limit, mode = self.expectation.object_lock, self.expectation.object_lock_mode
        if limit is None:
            return
        found, wanted = self.observe(ReadObjectLock(self.expectation.target.name)), limit.steps[0][1]
        if not found.enabled:
            self.find(UNLOCKED, "objects are not locked", f"locked for at least {wanted}")
        elif not found.mode:
            self.find(UNLOCKED, "locked only where their upload says it", f"locked for at least {wanted}")
        else:
            self.findings.grade(
                "default retention",
                Duration(found.days * 86400),
                limit,
                subject=self.expectation.target.address,
                remedies=(UNLOCKED,),
            )
            if mode is not None and found.mode.lower() not in {mode, "compliance"}:
                self.find(UNLOCKED, f"locked in {found.mode} mode, which some may lift", mode.upper())

    def judge_encryption(self) -> None:
        wanted, with_algorithm = self.expectation.encryption, self.expectation.encrypted_with
        if wanted is None:
            return
        algorithm = self.observe(ReadEncryption(self.expectation.target.name)).algorithm
        if not algorithm or with_algorithm not in {None, algorithm}:
            observed = f"encrypted with {algorithm}" if algorithm else "not encrypted by default"
            self.find(UNENCRYPTED, observed, with_algorithm or "encrypted", self.expectation.severity_of(wanted))

    def judge_public_access(self) -> None:
        wanted = self.expectation.public_access_blocked
        if wanted is None:
            return
        found = self.observe(ReadPublicAccess(self.expectation.target.name))
        blocks = {
            "BlockPublicAcls": found.block_public_acls,
            "IgnorePublicAcls": found.ignore_public_acls,
            "BlockPublicPolicy": found.block_public_policy,
            "RestrictPublicBuckets": found.restrict_public_buckets,
        }
        self.findings.measure("public access blocks", sum(blocks.values()), subject=self.expectation.target.address)
        if missing := [name for name, there in blocks.items() if not there]:
            observed = f"not blocked: {', '.join(missing)}"
            self.find(UNBLOCKED, observed, "all four public access blocks", self.expectation.severity_of(wanted))

    def judge_policy(self) -> None:
        wanted = self.expectation.policy_not_public
        if wanted is not None and self.observe(ReadPolicyStatus(self.expectation.target.name)).public:
            observed = "its policy lets everybody in"
            self.find(PUBLIC, observed, "a policy that is not public", self.expectation.severity_of(wanted))

    def judge_replication(self) -> None:
        wanted, prefix = self.expectation.replication, self.expectation.prefix
        if wanted is None:
            return
        rules = self.observe(ReadReplication(self.expectation.target.name)).rules
        if not any(prefix.startswith(begins) for begins, _ in rules):
            observed = "copied nowhere" if not rules else f"only copied: {', '.join(begins for begins, _ in rules)}"
            self.find(UNREPLICATED, observed, "copied to another bucket", self.expectation.severity_of(wanted))

    def judge_lifecycle(self) -> None:
        wanted, query = self.expectation, ReadLifecycle(self.expectation.target.name)
        if query not in wanted.queries():
            return
        found = self.observe(query)
        rules, all_over = _overlapping(found, wanted), _covering(found, wanted)
        self._none_before("backups are deleted after", wanted.kept_for, _deletions(rules, self.observe.now))
        self._none_before("backups are archived after", wanted.at_hand_for, _archivings(rules, self.observe.now))
        self._none_before("old versions are deleted after", wanted.noncurrent_kept_for, _version_deletions(rules))
        self._one_before("old versions", wanted.noncurrent_gone_after, _version_deletions(all_over))
        self._one_before("unfinished uploads", wanted.uploads_gone_after, _upload_deletions(all_over))

    def _none_before(self, name: str, limit: Graded[Duration] | None, actions: Sequence[Action]) -> None:
        for action in actions if limit is not None else ():
            self.findings.grade(
                name,
                action.after,
                limit,
                subject=f"{self.expectation.target.address}, {action.rule_name}",
                detail=action.detail,
                remedies=(RULES,),
            )

    def _one_before(self, what: str, limit: Graded[Duration] | None, actions: Sequence[Action]) -> None:
        if limit is None:
            return
        if not actions:
            where = f" under {self.expectation.prefix}" if self.expectation.prefix else ""
            self.find(
                RULES,
                f"no rule deletes all {what}{where}",
                f"deleted within {limit.steps[-1][1]}",
                limit.steps[-1][0],
            )
            return
        first = min(actions, key=lambda action: action.after)
        self.findings.grade(
            f"{what} are deleted after",
            first.after,
            limit,
            subject=f"{self.expectation.target.address}, {first.rule_name}",
            detail=first.detail,
            remedies=(RULES,),
        )


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
