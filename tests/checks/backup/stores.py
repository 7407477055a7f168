"""Judging backups by what real stores answer, and by listings of the test's own."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from checks.backup.test_objects import test_there_is_a_backup_that_is_young_and_large_enough as objects
from opscheck import Findings, S3Target
from opscheck.core.expectation import Expectation
from opscheck.core.record import Finding
from opscheck.core.templates import expectation_facts, render
from opscheck.core.units import Severity
from opscheck.systems.backup.objects import BackupObjects
from opscheck.systems.stores.listing import Listing, StoredBackup
from opscheck.testing import NOON, expect, judge
from tests.servers.s3 import Place

DAILY = "db/backup-%Y%m%d-%H%M%S.dump"
ELSEWHERE = S3Target(kind="s3", bucket="backups")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def now() -> datetime:
    """Without fractions, as names have it."""
    return datetime.now(UTC).replace(microsecond=0)


def key_of(at: datetime) -> str:
    """What a backup of that time is called."""
    return f"{at:db/backup-%Y%m%d-%H%M%S.dump}"


def there(place: Place, **fields: Any) -> Findings:
    """Run the check against a real store."""
    expectation = expect(BackupObjects, place.target, **fields)
    return judge(objects, expectation, place.ask, now=now())


def backup(ago: timedelta = HOUR, size: int = 1000, **fields: Any) -> StoredBackup:
    """One of the test's own, made so long before noon and written at once."""
    at = NOON - ago
    return StoredBackup(**{"key": key_of(at), "size": size, "modified": at, **fields})


def told(*backups: StoredBackup, answer: Callable[[Any], Any] | None = None, **fields: Any) -> Findings:
    """Run the check on backups of the test's own, which are judged at noon."""
    listing = Listing(backups=tuple(sorted(backups, key=lambda one: one.key)))
    expectation = expect(BackupObjects, ELSEWHERE, **{"names": DAILY, **fields})
    return judge(objects, expectation, answer or (lambda _: listing), now=NOON)


def severities(findings: Findings) -> list[Severity]:
    """In their order."""
    return [one.severity for one in findings.violations]


def measured(findings: Findings) -> dict[str, float]:
    """By name."""
    return {one.name: one.value for one in findings.measurements}


def commands(finding: Finding, target: Any = ELSEWHERE, **fields: Any) -> list[str]:
    """The commands that it suggests."""
    return typed(expect(BackupObjects, target, **{"names": DAILY, "age": {"P1": "1d"}, **fields}), finding)


def typed(expectation: Expectation, finding: Finding) -> list[str]:
    """The commands of a finding as a person types them; every one is complete."""
    facts = expectation_facts(expectation) | finding.facts
    rendered = [render(command, facts) for command in finding.remediation.commands]
    assert None not in rendered, finding.remediation.commands
    return [command for command in rendered if command]
