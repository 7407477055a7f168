"""The expectation of jobs."""

from collections.abc import Iterable
from typing import Any

from opscheck.core.query import Query
from opscheck.core.remedy import Former
from opscheck.core.units import Count, Duration
from opscheck.systems.kubernetes.batch import ListCronJobs, ListJobs
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.systems.kubernetes.scope import OfKind, Window, kubectl, missing_remedy

FAILED = kubectl("Find out why its pods failed, and fix the cause", "describe job {{ job }}")
FAILED_POD = kubectl("Read the log of the failed pod", "logs {{ pod }} -c {{ container }} --tail=100")
SLOW = kubectl("Find out what it waits for or works on", "describe job {{ job }}")
SLOW_POD = kubectl("Read the log of the running pod", "logs {{ pod }} --all-containers --tail=100")
RERUN = kubectl("Then run it again", "create job --from=cronjob/{{ cronjob }} {{ rerun }}  # after the cause is fixed")
DELETE = kubectl("Then delete the job", "delete job {{ job }}  # after its work is done; it counts until it is deleted")
RESUME = kubectl(
    "Resume it, or delete it", "describe job {{ job }}", 'patch job {{ job }} -p \'{"spec": {"suspend": false}}\''
)
MISSING = missing_remedy("jobs")


class JobsComplete(OfKind, check="kubernetes.jobs"):
    """
    No selected job has failed, and none runs longer than allowed.

    A job is failed when its condition says so. A failed run of a cron job counts only while it is the newest finished
    one and no success came after it; other failures count until `forget_after`.
    """

    explains_others = True
    remedies = (FAILED, FAILED_POD, SLOW, SLOW_POD, RERUN, DELETE, RESUME, MISSING)
    fact_names = OfKind.fact_names | {
        "job": "the job's name",
        "pod": "the newest failed pod of the job, or a pod that runs too long",
        "container": "the failed container of that pod",
        "cronjob": "its cron job",
        "rerun": "a name for a manual run of that cron job",
    }
    former_fact_names = OfKind.former_fact_names | {
        "failed_pod": Former("pod", FAILED_POD),
        "slow_pod": Former("pod", SLOW_POD),
        "rerun_of": Former("cronjob", RERUN),
        "unowned": Former("job", DELETE),
        "suspended": Former("job", RESUME),
    }

    min_matches: Count = 1
    """
    Minimum number of selected jobs; 0 allows none. Finished jobs are deleted after `ttlSecondsAfterFinished`, or
    beyond a cron job's history limits; use 0 where all of them may be deleted.
    """
    max_runtime: Window = Duration.parse("12h")
    """Maximum duration of a job since its start or last resume."""
    forget_after: Window | None = None
    """
    Time in which a failed job without a cron job counts. By default until it is deleted: the cluster does not record
    whether its work was done later. Of a cron job only the newest run counts, until a later one succeeds.
    """
    allow_suspended: bool = True
    """Allow jobs to stay suspended, as those that wait in a queue such as Kueue."""
    grace: Duration = Duration.parse("15m")
    """Maximum suspension where `allow_suspended` is false. A failed job has no grace period."""

    def queries(self) -> Iterable[Query[Any]]:
        return *self.lists(ListJobs), *self.lists(ListCronJobs)

    def evidence_queries(self) -> Iterable[Query[Any]]:
        """The pods too: they show why a job failed."""
        return *super().evidence_queries(), *self.lists(ListPods)
