"""How a bucket of backups is configured."""

from collections.abc import Sequence
from dataclasses import dataclass

from opscheck import Findings, Observe
from opscheck.core.isolation import judge_all
from opscheck.core.units import Duration, Graded, Severity
from opscheck.systems.backup.expectations.bucket import BackupBucket
from opscheck.systems.backup.readings.lifecycle import (
    Deed,
    archivings,
    covering,
    deletions,
    older_deletions,
    touching,
    upload_deletions,
)
from opscheck.systems.backup.readings.stores import named
from opscheck.systems.stores.bucket import (
    ReadEncryption,
    ReadLifecycle,
    ReadObjectLock,
    ReadPolicyStatus,
    ReadPublicAccess,
    ReadReplication,
    ReadVersioning,
)


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
class _Case:
    """A bucket and what is asked of it."""

    expectation: BackupBucket
    observe: Observe
    findings: Findings

    def find(self, fact: str, observed: str, expected: str, severity: Severity | None = None) -> None:
        self.findings.add(
            subject=self.expectation.target.address,
            observed=observed,
            expected=expected,
            severity=severity,
            facts=self.facts(fact),
        )

    def facts(self, fact: str) -> dict[str, str]:
        return named(self.expectation.target, {fact: self.expectation.target.bucket})

    def judge_versioning(self) -> None:
        asked = self.expectation.versioning
        if asked is None:
            return
        status = self.observe(ReadVersioning(self.expectation.target.name)).status
        if status != "Enabled":
            observed = f"versioning is {status or 'not enabled'}"
            self.find("unversioned", observed, "Enabled", self.expectation.severity_of(asked))

    def judge_object_lock(self) -> None:
        limit, mode = self.expectation.object_lock, self.expectation.object_lock_mode
        if limit is None:
            return
        found, wanted = self.observe(ReadObjectLock(self.expectation.target.name)), limit.steps[0][1]
        if not found.enabled:
            self.find("unlocked", "objects are not locked", f"locked for at least {wanted}")
        elif not found.mode:
            self.find("unlocked", "locked only where their upload says it", f"locked for at least {wanted}")
        else:
            self.findings.grade(
                "default retention",
                Duration(found.days * 86400),
                limit,
                subject=self.expectation.target.address,
                facts=self.facts("unlocked"),
            )
            if mode is not None and found.mode.lower() not in {mode, "compliance"}:
                self.find("unlocked", f"locked in {found.mode} mode, which some may lift", mode.upper())

    def judge_encryption(self) -> None:
        asked, wanted = self.expectation.encryption, self.expectation.encrypted_with
        if asked is None:
            return
        algorithm = self.observe(ReadEncryption(self.expectation.target.name)).algorithm
        if not algorithm or wanted not in {None, algorithm}:
            observed = f"encrypted with {algorithm}" if algorithm else "not encrypted by default"
            self.find("unencrypted", observed, wanted or "encrypted", self.expectation.severity_of(asked))

    def judge_public_access(self) -> None:
        asked = self.expectation.public_access_blocked
        if asked is None:
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
            self.find("open", observed, "all four public access blocks", self.expectation.severity_of(asked))

    def judge_policy(self) -> None:
        asked = self.expectation.policy_not_public
        if asked is not None and self.observe(ReadPolicyStatus(self.expectation.target.name)).public:
            observed = "its policy lets everybody in"
            self.find("public", observed, "a policy that is not public", self.expectation.severity_of(asked))

    def judge_replication(self) -> None:
        asked, prefix = self.expectation.replication, self.expectation.prefix
        if asked is None:
            return
        rules = self.observe(ReadReplication(self.expectation.target.name)).rules
        if not any(prefix.startswith(begins) for begins, _ in rules):
            observed = "copied nowhere" if not rules else f"only copied: {', '.join(begins for begins, _ in rules)}"
            self.find("unreplicated", observed, "copied to another bucket", self.expectation.severity_of(asked))

    def judge_lifecycle(self) -> None:
        asked, query = self.expectation, ReadLifecycle(self.expectation.target.name)
        if query not in asked.queries():
            return
        found = self.observe(query)
        rules, all_over = touching(found, asked), covering(found, asked)
        self._none_before("backups are deleted after", asked.kept_for, deletions(rules, self.observe.now))
        self._none_before("backups are archived after", asked.at_hand_for, archivings(rules, self.observe.now))
        self._none_before("old versions are deleted after", asked.noncurrent_kept_for, older_deletions(rules))
        self._one_before("old versions", asked.noncurrent_gone_after, older_deletions(all_over))
        self._one_before("unfinished uploads", asked.uploads_gone_after, upload_deletions(all_over))

    def _none_before(self, name: str, limit: Graded[Duration] | None, deeds: Sequence[Deed]) -> None:
        for deed in deeds if limit is not None else ():
            self.findings.grade(
                name,
                deed.after,
                limit,
                subject=f"{self.expectation.target.address}, {deed.whose}",
                detail=deed.detail,
                facts=self.facts("ruled"),
            )

    def _one_before(self, what: str, limit: Graded[Duration] | None, deeds: Sequence[Deed]) -> None:
        if limit is None:
            return
        if not deeds:
            where = f" under {self.expectation.prefix}" if self.expectation.prefix else ""
            self.find(
                "ruled",
                f"no rule deletes all {what}{where}",
                f"deleted within {limit.steps[-1][1]}",
                limit.steps[-1][0],
            )
            return
        first = min(deeds, key=lambda deed: deed.after)
        self.findings.grade(
            f"{what} are deleted after",
            first.after,
            limit,
            subject=f"{self.expectation.target.address}, {first.whose}",
            detail=first.detail,
            facts=self.facts("ruled"),
        )
