"""What makes backups in a cluster, as the API reports it at one moment, and what `backup.jobs` says of it then."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from checks.backup.test_jobs import test_backups_are_made
from opscheck import Findings, KubernetesTarget
from opscheck.demo.kubernetes import Object, cronjob, job, velero_backup, velero_location, velero_schedule
from opscheck.systems.backup.jobs import BackupJobs
from opscheck.systems.kubernetes.lists import ListObjects, ObjectList
from opscheck.testing import expect, judge
from tests.checks.kubernetes.rendering import rendered

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
TARGET = KubernetesTarget(kind="kubernetes", namespace="shop")
PINNED = KubernetesTarget(kind="kubernetes", namespace="shop", context="prod")
LIMITS = {"age": {"P2": "25h", "P0": "49h"}}


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def a_cronjob(name: str = "backup", **fields: Any) -> Object:
    """Every night at two; the last run was due ten hours ago and succeeded."""
    given = {"created": ago(days=90), "scheduled": ago(hours=10), "succeeded": ago(hours=9, minutes=30)}
    return cronjob(name, "shop", **given | fields)


def a_run(number: int = 1, **fields: Any) -> Object:
    """A job of that cron job, which runs."""
    return job(f"backup-{number}", "shop", **{"cronjob": "backup", "created": ago(hours=10)} | fields)


def a_good_run(number: int = 1, **fields: Any) -> Object:
    return a_run(number, **{"completed": ago(hours=9, minutes=30)} | fields)


def scripted(*words: str, name: str = "dump") -> Object:
    """The template of a job with these words in its command."""
    return {
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": name, "command": words}]}}}
    }


def a_schedule(name: str = "daily", **fields: Any) -> Object:
    return velero_schedule(name, **{"created": ago(days=90)} | fields)


def a_backup(schedule: str = "daily", **fields: Any) -> Object:
    began = fields.pop("began", ago(hours=9))
    return velero_backup(schedule, began, **fields)


def a_location(**fields: Any) -> Object:
    return velero_location(**{"validated": ago(minutes=1)} | fields)


def judged(tool: str, *objects: Object, target: KubernetesTarget = TARGET, **fields: Any) -> Findings:
    expectation = expectation_of(tool, target, **fields)
    return judge(test_backups_are_made, expectation, _answers(expectation, objects), NOW)


def expectation_of(tool: str, target: KubernetesTarget = TARGET, **fields: Any) -> BackupJobs:
    return expect(BackupJobs, target, **{"tool": tool, **LIMITS} | fields)


def _answers(expectation: BackupJobs, objects: tuple[Object, ...]) -> dict[Any, Any]:
    lists = [query for query in expectation.described() if isinstance(query, ListObjects)]
    return {
        query: ObjectList(
            tuple(
                msgspec.convert(one, query.item)
                for one in objects
                if one["kind"] == query.item.__name__ and query.namespace in {None, one["metadata"]["namespace"]}
            )
        )
        for query in lists
    }


def commands(findings: Findings, tool: str, target: KubernetesTarget = TARGET) -> list[str]:
    """What a person is told to type."""
    return rendered(expectation_of(tool, target), findings)
