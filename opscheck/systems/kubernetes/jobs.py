"""What can be expected of jobs."""

from collections.abc import Iterable
from typing import Any

from opscheck.core.query import Query
from opscheck.core.remedy import Former
from opscheck.core.units import Count, Duration
from opscheck.systems.kubernetes.batch import ListCronJobs, ListJobs
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.systems.kubernetes.scope import OfKind, Window, kubectl, missing_remedy

FAILED = kubectl("See how its pods ended, and fix the cause", "describe job {{ job }}")
FAILED_POD = kubectl("Read the log of the pod that failed", "logs {{ pod }} -c {{ container }} --tail=100")
SLOW = kubectl("See what it waits for or works on", "describe job {{ job }}")
SLOW_POD = kubectl("Read the log of the pod that runs", "logs {{ pod }} --all-containers --tail=100")
RERUN = kubectl("Then run it again", "create job --from=cronjob/{{ cronjob }} {{ rerun }}  # once the cause is mended")
DELETE = kubectl(
    "Then delete the job", "delete job {{ job }}  # once its work is done otherwise; it counts until it is gone"
)
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
        "pod": "the newest pod of the job that failed, or one that runs for too long",
        "container": "the container of that pod that is to blame",
        "cronjob": "its cron job",
        "rerun": "a name for another run of that cron job",
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
    How many must be there at least; 0 says that there may be none. Finished jobs are deleted after
    `ttlSecondsAfterFinished`, or beyond a cron job's history limits, so 0 is right where all of them may be gone.
    """
    max_runtime: Window = Duration.parse("12h")
    """How long a job may run, counted from when it was started or last resumed."""
    forget_after: Window | None = None
    """
    How long a failed job counts that no cron job owns. By default until somebody deletes it, for nobody else knows
    whether its work has been done since. Of a cron job only the newest run counts, until a later one succeeds.
    """
    allow_suspended: bool = True
    """Whether jobs may be suspended for long, as those that wait in a queue such as Kueue are."""
    grace: Duration = Duration.parse("15m")
    """How long a job may be suspended where `allow_suspended` is false. A job that failed has no grace."""

    def queries(self) -> Iterable[Query[Any]]:
        return *self.lists(ListJobs), *self.lists(ListCronJobs)

    def evidence_queries(self) -> Iterable[Query[Any]]:
        """The pods too: how those of a failed job ended."""
        return *super().evidence_queries(), *self.lists(ListPods)
