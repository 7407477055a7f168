"""The cron jobs of the demo's backups, as objects of its cluster."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from opscheck.demo.kubernetes import Object, World, cronjob, job, pod

DATABASE, CONFIGURATION = "database-backup", "configuration-backup"
EVERY = timedelta(minutes=30)
CONFIGURATION_BEFORE = timedelta(hours=6)
"""Time between the newest backup of the configuration and the newest one of the database."""

_TAKES = timedelta(seconds=40)
_CAREFUL = {
    DATABASE: """\
set -euo pipefail
key=$(date -u +database/%Y/%m/%d/backup-%Y%m%d-%H%M%S.dump)
pg_dump --format=custom "$DATABASE_URL" | tee /scratch/dump | sha256sum | sed "s/-$/${key##*/}/" > /scratch/sum
aws s3 cp /scratch/dump "s3://$BUCKET/$key"
aws s3 cp /scratch/sum "s3://$BUCKET/$key.sha256"
""",
    CONFIGURATION: """\
set -euo pipefail
key=$(date -u +config/backup-%Y%m%d-%H%M%S.tar.gz)
tar -C /manifests -c . | gzip | tee /scratch/tar.gz | sha256sum | sed "s/-$/${key##*/}/" > /scratch/sum
aws s3 cp /scratch/tar.gz "s3://$BUCKET/$key"
aws s3 cp /scratch/sum "s3://$BUCKET/$key.sha256"
""",
}


def backup_jobs(namespace: str, at: datetime) -> Iterator[Object]:
    """Both cron jobs, their newest jobs and the pods of these. The database's backup started at `at`."""
    yield from _database(namespace, at)
    early = at - CONFIGURATION_BEFORE
    # The schedule has the hour of its last run: it is on time at any hour at which the demo starts.
    yield from _ran(CONFIGURATION, namespace, early, f"{early.minute} {early.hour} * * *")


def record(world: World, namespace: str, at: datetime) -> None:
    """Add a run of the database's backup that started at `at`, in place of the previous one."""
    with world.changing():
        for kind in ("Job", "Pod"):
            for name in _names(world, kind, namespace):
                world.remove(kind, name, namespace)
        world.add(*_database(namespace, at))


def be_careless(world: World, namespace: str) -> None:
    """Let both scripts ignore errors, so that each of their runs succeeds."""
    _write(world, namespace, {name: script.replace("set -euo pipefail\n", "") for name, script in _CAREFUL.items()})


def be_careful(world: World, namespace: str) -> None:
    """Let both scripts fail at the first error."""
    _write(world, namespace, _CAREFUL)


def _write(world: World, namespace: str, scripts: Mapping[str, str]) -> None:
    with world.changing():
        for name, script in scripts.items():
            world.get("CronJob", name, namespace)["spec"]["jobTemplate"] = _template(script)


def _template(script: str) -> Object:
    container = {
        "name": "backup",
        "image": "registry.example.com/backup:2.3.1",
        "command": ["bash", "-c", script],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
    }
    return {"metadata": {}, "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}}


def _names(world: World, kind: str, namespace: str) -> list[str]:
    (resource,) = (found for found in world.resources if found.kind == kind)
    names = [item["metadata"]["name"] for item in world.select(resource, namespace)]
    return [name for name in names if name.startswith(f"{DATABASE}-")]


def _database(namespace: str, at: datetime) -> Iterator[Object]:
    minute = at.minute % 30
    return _ran(DATABASE, namespace, at, f"{minute},{minute + 30} * * * *")


def _ran(name: str, namespace: str, at: datetime, schedule: str) -> Iterator[Object]:
    due = at.replace(second=0, microsecond=0)
    # The name that the controller gives: the scheduled time in minutes since 1970.
    run = f"{name}-{int(due.timestamp()) // 60}"
    ended = min(at + _TAKES, datetime.now(UTC))
    template = _template(_CAREFUL[name])
    yield cronjob(name, namespace, schedule=schedule, scheduled=due, succeeded=ended, jobTemplate=template)
    yield job(run, namespace, cronjob=name, created=at, completed=ended)
    labels = {"job-name": run}
    yield pod(f"{run}-x7k2m", namespace, labels=labels, phase="Succeeded", owner=f"Job/{run}", created=at)
