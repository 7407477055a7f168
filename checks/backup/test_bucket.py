"""The configuration of a bucket of backups."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import partial
from typing import Any, Literal

from opscheck import Findings, Observe
from opscheck.core.findings import judge_all
from opscheck.core.query import Query
from opscheck.core.remedy import Remedy
from opscheck.core.units import Duration, Graded, Severity
from opscheck.systems.backup.bucket import (
    NO_REPLICATION,
    NO_RULES,
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
    Encryption,
    Lifecycle,
    LifecycleRule,
    ObjectLock,
    PolicyStatus,
    PublicAccess,
    Replication,
    Versioning,
)

_DAY_S = 86400.0


def test_the_bucket_keeps_what_is_written_to_it(
    expectation: BackupBucket, observe: Observe, findings: Findings
) -> None:
    """
    The bucket protects its backups from deletion and keeps them long enough.

    An intruder or a mistake deletes backups first. A lifecycle rule that is too short deletes them every night.
    """
    case = _Case(expectation, observe, findings.on(expectation.target.address))
    judge_all(*(partial(case.judge, query) for query in expectation.queries()))


@dataclass(frozen=True)
class _Case:
    """A bucket and its expectation."""

    expectation: BackupBucket
    observe: Observe
    findings: Findings

    def judge(self, query: Query[Any]) -> None:
        """Judge one part of the configuration that the policy names."""
        wanted = self.expectation
        match self.observe(query):
            case Versioning(status=status) if status != "Enabled":
                self._find(wanted.versioning, UNVERSIONED, f"versioning is {status or 'not enabled'}", "Enabled")
            case ObjectLock() as lock:
                self._judge_object_lock(lock)
            case Encryption(algorithm=algorithm) if not algorithm or wanted.encrypted_with not in {None, algorithm}:
                observed = f"encrypted with {algorithm}" if algorithm else "not encrypted by default"
                self._find(wanted.encryption, UNENCRYPTED, observed, wanted.encrypted_with or "encrypted")
            case PublicAccess() as access:
                self._judge_public_access(access)
            case PolicyStatus(public=True):
                observed, expected = "its policy lets everybody in", "a policy that is not public"
                self._find(wanted.policy_not_public, PUBLIC, observed, expected)
            case Replication(rules=rules) if not any(wanted.prefix.startswith(begins) for begins, _ in rules):
                only = ", ".join(begins for begins, _ in rules)
                observed = f"only copied: {only}" if rules else "copied nowhere"
                remedy = UNREPLICATED if rules else NO_REPLICATION
                self._find(wanted.replication, remedy, observed, "copied to another bucket")
            case Lifecycle() as lifecycle:
                self._judge_lifecycle(lifecycle)

    def _find(self, wanted: Literal[True] | Severity | None, remedy: Remedy, observed: str, expected: str) -> None:
        severity = wanted if isinstance(wanted, Severity) else None
        self.findings.add(observed=observed, expected=expected, severity=severity, remedies=[remedy])

    def _judge_public_access(self, found: PublicAccess) -> None:
        blocks = {
            "BlockPublicAcls": found.block_public_acls,
            "IgnorePublicAcls": found.ignore_public_acls,
            "BlockPublicPolicy": found.block_public_policy,
            "RestrictPublicBuckets": found.restrict_public_buckets,
        }
        self.findings.measure("public access blocks", sum(blocks.values()))
        if missing := ", ".join(name for name, there in blocks.items() if not there):
            wanted, expected = self.expectation.public_access_blocked, "all four public access blocks"
            self._find(wanted, UNBLOCKED, f"not blocked: {missing}", expected)

    def _judge_object_lock(self, found: ObjectLock) -> None:
        limit, mode = self.expectation.object_lock, self.expectation.object_lock_mode
        least = f"locked for at least {limit.steps[0][1]}" if limit else ""
        if not found.enabled:
            self._find(None, UNLOCKED, "objects are not locked", least)
        elif not found.mode:
            self._find(None, UNLOCKED, "locked only where their upload says it", least)
        else:
            self.findings.grade("default retention", Duration(found.days * _DAY_S), limit, remedies=[UNLOCKED])
            if mode is not None and found.mode.lower() not in {mode, "compliance"}:
                self._find(None, UNLOCKED, f"locked in {found.mode} mode, which some may lift", mode.upper())

    def _judge_lifecycle(self, found: Lifecycle) -> None:
        wanted, now = self.expectation, self.observe.now
        enabled = [rule for rule in found.rules if rule.enabled]
        rules = [rule for rule in enabled if rule.id not in wanted.except_rules and _is_about(rule, wanted.prefix)]
        all_over = [rule for rule in enabled if _is_about_all(rule, wanted.prefix)]
        for name, limit, actions in (
            ("backups are deleted after", wanted.kept_for, _deletions(rules, now)),
            ("backups are archived after", wanted.at_hand_for, _archivings(rules, now)),
            ("old versions are deleted after", wanted.noncurrent_kept_for, _version_deletions(rules)),
        ):
            for action in actions if limit is not None else ():
                self._grade(name, limit, action)
        self._judge_deletion(found, "old versions", wanted.noncurrent_gone_after, _version_deletions(all_over))
        self._judge_deletion(found, "unfinished uploads", wanted.uploads_gone_after, _upload_deletions(all_over))

    def _judge_deletion(
        self, found: Lifecycle, what: str, limit: Graded[Duration] | None, actions: Sequence["Action"]
    ) -> None:
        """Judge the earliest deletion, which must exist."""
        if limit is not None and actions:
            self._grade(f"{what} are deleted after", limit, min(actions, key=lambda action: action.after))
        elif limit is not None:
            where = f" under {self.expectation.prefix}" if self.expectation.prefix else ""
            severity, largest = limit.steps[-1]
            remedy = RULES if found.rules else NO_RULES
            self._find(severity, remedy, f"no rule deletes all {what}{where}", f"deleted within {largest}")

    def _grade(self, name: str, limit: Graded[Duration] | None, action: "Action") -> None:
        rule = action.rule
        about = f"rule {rule.id}" if rule.id else f"the rule about {rule.prefix or 'all objects'}"
        subject = f"{self.expectation.target.address}, {about}"
        self.findings.grade(name, action.after, limit, subject=subject, detail=action.detail, remedies=[RULES])


@dataclass(frozen=True)
class Action:
    """An action of a lifecycle rule on an object, and the age at which it happens."""

    rule: LifecycleRule
    after: Duration
    detail: str = ""


def _is_about(rule: LifecycleRule, prefix: str) -> bool:
    """True when it applies to at least some of the backups."""
    return rule.prefix.startswith(prefix) or prefix.startswith(rule.prefix)


def _is_about_all(rule: LifecycleRule, prefix: str) -> bool:
    return prefix.startswith(rule.prefix) and not (rule.tagged or rule.larger_than or rule.smaller_than)


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
    # From that day on the rule deletes every day.
    then = datetime.combine(date.fromisoformat(day), time(), UTC)
    return Duration(max(0.0, (then - now).total_seconds()))


def _archivings(rules: Sequence[LifecycleRule], now: datetime) -> list[Action]:
    """The moves of objects to an archive."""
    moves = [(rule, storage, _until(day, now), f", on {day}") for rule in rules for storage, day in rule.archives_on]
    moves += [(rule, storage, Duration(days * _DAY_S), "") for rule in rules for storage, days in rule.archives]
    return [Action(rule, after, f"to {storage}{when}") for rule, storage, after, when in moves if storage in ARCHIVES]


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
