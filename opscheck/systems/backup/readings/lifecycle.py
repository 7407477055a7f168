"""What lifecycle rules do to backups."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from opscheck.core.units import Duration
from opscheck.systems.backup.expectations.bucket import BackupBucket
from opscheck.systems.backup.readings.objects import ARCHIVES
from opscheck.systems.stores.bucket import Lifecycle, LifecycleRule

_DAY_S = 86400.0


@dataclass(frozen=True)
class Deed:
    """What a rule does to an object, and when."""

    rule: LifecycleRule
    after: Duration
    detail: str = ""

    @property
    def whose(self) -> str:
        """The rule, for people."""
        return f"rule {self.rule.id}" if self.rule.id else f"the rule about {self.rule.prefix or 'all objects'}"


def touching(lifecycle: Lifecycle, expectation: BackupBucket) -> list[LifecycleRule]:
    """The rules that are about at least some of the backups."""
    return [
        rule
        for rule in lifecycle.rules
        if rule.enabled
        and rule.id not in expectation.except_rules
        and (rule.prefix.startswith(expectation.prefix) or expectation.prefix.startswith(rule.prefix))
    ]


def covering(lifecycle: Lifecycle, expectation: BackupBucket) -> list[LifecycleRule]:
    """The rules that are about all of the backups."""
    return [
        rule
        for rule in lifecycle.rules
        if rule.enabled
        and expectation.prefix.startswith(rule.prefix)
        and not (rule.tagged or rule.larger_than or rule.smaller_than)
    ]


def deletions(rules: Iterable[LifecycleRule], now: datetime) -> list[Deed]:
    """When each rule deletes an object, the soonest first."""
    deeds = [
        Deed(rule, Duration(rule.expires_days * _DAY_S), _only(rule)) for rule in rules if rule.expires_days is not None
    ]
    dated = [Deed(rule, _until(rule.expires_on, now), f"on {rule.expires_on}") for rule in rules if rule.expires_on]
    return sorted([*deeds, *dated], key=lambda deed: deed.after)


def _until(day: str, now: datetime) -> Duration:
    # From that day on it deletes every day whatever is there.
    then = datetime.combine(date.fromisoformat(day), time(), UTC)
    return Duration(max(0.0, (then - now).total_seconds()))


def archivings(rules: Sequence[LifecycleRule], now: datetime) -> list[Deed]:
    """When each rule moves an object to an archive."""
    dated = [
        Deed(rule, _until(day, now), f"to {storage}, on {day}")
        for rule in rules
        for storage, day in rule.archives_on
        if storage in ARCHIVES
    ]
    return dated + [
        Deed(rule, Duration(days * _DAY_S), f"to {storage}")
        for rule in rules
        for storage, days in rule.archives
        if storage in ARCHIVES
    ]


def older_deletions(rules: Iterable[LifecycleRule]) -> list[Deed]:
    """When each rule deletes what was overwritten or deleted."""
    return [
        Deed(rule, Duration(rule.noncurrent_days * _DAY_S), _but(rule))
        for rule in rules
        if rule.noncurrent_days is not None
    ]


def upload_deletions(rules: Iterable[LifecycleRule]) -> list[Deed]:
    """When each rule deletes uploads that were not finished."""
    return [Deed(rule, Duration(rule.abort_days * _DAY_S)) for rule in rules if rule.abort_days is not None]


def _only(rule: LifecycleRule) -> str:
    return "objects with certain tags" if rule.tagged else ""


def _but(rule: LifecycleRule) -> str:
    return f"but the newest {rule.noncurrent_kept}" if rule.noncurrent_kept else ""
