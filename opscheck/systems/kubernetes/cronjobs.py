"""What can be expected of cron jobs."""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field

from opscheck.core.expectation import Remediation
from opscheck.core.query import Query
from opscheck.core.time_zones import TimeZone
from opscheck.core.units import Duration, Graded, Percentage
from opscheck.systems.kubernetes.batch import ListCronJobs, ListJobs
from opscheck.systems.kubernetes.remedies import PLACE_FACTS, kubectl
from opscheck.systems.kubernetes.scope import OfKind, Window

NamePatterns = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]


class CronJobsOnTime(OfKind, check="kubernetes.cronjobs"):
    """Every selected cron job has succeeded lately: within `max_age`, or as its schedule says."""

    explains_others = True
    fact_names = PLACE_FACTS | {
        "cronjob": "the cron job's name",
        "suspended": "the cron job, when it is suspended",
        "failed_job": "its newest job, when that failed",
        "active_job": "the oldest of its jobs that still run",
        "rerun_of": "the cron job, when it is neither suspended nor running",
        "rerun": "a name for another run of it",
    }
    default_remediation = Remediation(
        summary="See why no run succeeds, mend that, then run it by hand once",
        commands=kubectl(
            "describe cronjob {{ cronjob }}",
            "logs job/{{ failed_job }} --all-containers --tail=100",
            "describe job {{ active_job }}",
            "logs job/{{ active_job }} --all-containers --tail=100",
            'patch cronjob {{ suspended }} -p \'{"spec": {"suspend": false}}\'',
            "create job --from=cronjob/{{ rerun_of }} {{ rerun }}",
        ),
    )

    max_age: Graded[Duration] | None = None
    """
    How long ago the last success may be. By default the schedule says it: the first run that is due after the last
    success must succeed, or one soon after it, within `slack`, `run_time` and `grace` together.
    """
    slack: Percentage = Percentage.parse("50%")
    """How much later than due a success may come, as a share of the time between that run and the next."""
    run_time: Window = Duration.parse("1h")
    """How long a run may take."""
    grace: Duration = Duration.parse("15m")
    """How late a run may be started."""
    time_zone: TimeZone = "UTC"
    """The zone of schedules without a `timeZone`, which is that of the controller manager."""
    allow_suspended: bool | NamePatterns = False
    """
    Whether cron jobs may stay suspended, or the names (with `*` and `?`) of those that may. One that may not is
    judged like any other, so that it may be suspended for as long as no success is overdue. A schedule that no date
    ever matches, such as `0 0 31 2 *`, is another way to suspend.
    """

    def looks_at(self) -> Iterable[Query[Any]]:
        """The cron jobs there."""
        return self.ask(ListCronJobs)

    def aside(self) -> Iterable[Query[Any]]:
        """The jobs too: which of its runs failed, and which still runs."""
        yield from super().aside()
        yield from self.ask(ListJobs)
