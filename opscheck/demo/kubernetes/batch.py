"""Jobs and cron jobs as a cluster reports them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from opscheck.demo.kubernetes.objects import Object, condition, metadata, timestamp

_SAID = {
    "BackoffLimitExceeded": "Job has reached the specified backoff limit",
    "DeadlineExceeded": "Job was active longer than specified deadline",
    "PodFailurePolicy": "Container app for pod default/job-x7k2m failed with exit code 42 matching FailJob rule at"
    " index 0",
    "FailedIndexes": "Job has failed indexes",
}


def job(  # noqa: PLR0913 -- a job has many faces; all but the name have a default
    name: str,
    namespace: str = "default",
    *,
    cronjob: str | None = None,
    labels: dict[str, str] | None = None,
    created: datetime | None = None,
    completed: datetime | None = None,
    failed: datetime | None = None,
    reason: str = "BackoffLimitExceeded",
    failed_pods: int = 0,
    suspended: datetime | None = None,
    **spec: Any,
) -> Object:
    """
    A job that runs, unless it `completed`, `failed` (with this `reason`) or is `suspended` since some time.

    cronjob: the name of the cron job that owns it. spec: more of its spec, such as activeDeadlineSeconds.
    """
    born = created or datetime.now(UTC) - timedelta(minutes=5)
    running = not (completed or failed or suspended)
    status: Object = {"ready": int(running), "terminating": 0, "uncountedTerminatedPods": {}}
    status |= {"startTime": timestamp(born)} if not suspended else {}
    status |= {"active": 1} if running else {}
    status |= {"failed": failed_pods} if failed_pods else {}
    if completed:
        status |= {"succeeded": 1, "completionTime": timestamp(completed)}
    if conditions := _conditions(completed, failed, reason, suspended):
        status["conditions"] = conditions
    uid = metadata(name, namespace)["uid"]
    own = {"batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": name, "job-name": name}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata(
            name,
            namespace,
            created=born,
            labels=own | (labels or {}),
            owner=f"CronJob/{cronjob}" if cronjob else None,
        )
        | {"generation": 1},
        "spec": {
            "parallelism": 1,
            "completions": 1,
            "completionMode": "NonIndexed",
            "backoffLimit": 6,
            "suspend": suspended is not None,
            "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}},
            "template": {"metadata": {"labels": own}, "spec": {"restartPolicy": "Never", "containers": []}},
        }
        | spec,
        "status": status,
    }


def _conditions(
    completed: datetime | None, failed: datetime | None, reason: str, suspended: datetime | None
) -> list[Object]:
    if completed:
        reached, said = "CompletionsReached", "Reached expected number of succeeded pods"
        return [condition(kind, True, completed, reached, said) for kind in ("SuccessCriteriaMet", "Complete")]
    if failed:
        return [condition(kind, True, failed, reason, _SAID.get(reason, "")) for kind in ("FailureTarget", "Failed")]
    if suspended:
        return [condition("Suspended", True, suspended, "JobSuspended", "Job suspended")]
    return []


def cronjob(  # noqa: PLR0913 -- a cron job has many faces; all but the name have a default
    name: str,
    namespace: str = "default",
    *,
    schedule: str = "0 2 * * *",
    time_zone: str | None = None,
    suspend: bool = False,
    labels: dict[str, str] | None = None,
    created: datetime | None = None,
    scheduled: datetime | None = None,
    succeeded: datetime | None = None,
    active: Sequence[str] = (),
    **spec: Any,
) -> Object:
    """
    A cron job. `scheduled` and `succeeded` are when its last run was due, and when the last successful one ended.

    active: the names of its jobs that run. spec: more of its spec, such as concurrencyPolicy.
    """
    status: Object = {}
    status |= {"lastScheduleTime": timestamp(scheduled)} if scheduled else {}
    status |= {"lastSuccessfulTime": timestamp(succeeded)} if succeeded else {}
    if active:
        status["active"] = [
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "namespace": namespace,
                "name": one,
                "uid": metadata(one, namespace)["uid"],
            }
            for one in active
        ]
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": metadata(name, namespace, created=created, labels=labels) | {"generation": 1},
        "spec": {
            "schedule": schedule,
            "concurrencyPolicy": "Allow",
            "suspend": suspend,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 1,
            "jobTemplate": {"metadata": {}, "spec": {"template": {"spec": {"restartPolicy": "Never"}}}},
        }
        | ({"timeZone": time_zone} if time_zone else {})
        | spec,
        "status": status,
    }
