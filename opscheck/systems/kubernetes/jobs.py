"""What can be expected of jobs."""

from collections.abc import Iterable
from typing import Any

from opscheck.core.expectation import Remediation
from opscheck.core.query import Query
from opscheck.core.units import Count, Duration
from opscheck.systems.kubernetes.batch import ListCronJobs, ListJobs
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.systems.kubernetes.remedies import PLACE_FACTS, kubectl
from opscheck.systems.kubernetes.scope import OfKind, Window


class JobsComplete(OfKind, check="kubernetes.jobs"):
    """No selected job has failed, and none runs for too long."""

    explains_others = True
    # A command that names a fact is left out of findings without it, so each kind of trouble has facts of its own.
    fact_names = PLACE_FACTS | {
        "job": "the job's name",
        "failed_pod": "the newest pod of the job that failed",
        "container": "the container of that pod that is to blame",
        "slow_pod": "a pod of the job, when it runs for too long",
        "rerun_of": "its cron job, when the job failed",
        "rerun": "a name for another run of that cron job",
        "unowned": "the job, when it failed and no cron job owns it",
        "suspended": "the job, when it is suspended",
    }
    default_remediation = Remediation(
        summary="See how its pods ended, mend the cause, then run it again or delete the job",
        commands=kubectl(
            "describe job {{ job }}",
            "logs {{ failed_pod }} -c {{ container }} --tail=100",
            "logs {{ slow_pod }} --all-containers --tail=100",
            "create job --from=cronjob/{{ rerun_of }} {{ rerun }}  # once the cause is mended",
            "delete job {{ unowned }}  # once its work is done otherwise; it counts until it is gone",
            'patch job {{ suspended }} -p \'{"spec": {"suspend": false}}\'',
        ),
    )

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

    def looks_at(self) -> Iterable[Query[Any]]:
        """The jobs there; and the cron jobs, which know of later runs that succeeded and were deleted since."""
        return *self.ask(ListJobs), *self.ask(ListCronJobs)

    def aside(self) -> Iterable[Query[Any]]:
        """The pods too: how those of a failed job ended."""
        yield from super().aside()
        yield from self.ask(ListPods)
