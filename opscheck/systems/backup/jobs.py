"""backup.jobs: a cron job, Velero, pgBackRest or Barman makes backups."""

import shlex
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, cast

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from opscheck.core.expectation import Expectation
from opscheck.core.field_types import CountLeft, TimeZone
from opscheck.core.observation import Problem, ProblemKind
from opscheck.core.query import Query
from opscheck.core.remedy import Former, Remedy
from opscheck.core.target import Target, TargetOf
from opscheck.core.units import Count, Duration, Graded, PositiveCount, Severity, Timeout
from opscheck.systems.backup.tools import BarmanCatalogue, PgbackrestInfo, ReadBarman, ReadPgbackrest
from opscheck.systems.backup.velero import ListStorageLocations, ListVeleroBackups, ListVeleroSchedules
from opscheck.systems.host.target import HostTarget
from opscheck.systems.kubernetes.batch import ListCronJobs, ListJobs
from opscheck.systems.kubernetes.cronjobs import RUN_FACTS, CronJobsOnTime
from opscheck.systems.kubernetes.scope import (
    InCluster,
    InNamespaces,
    Matched,
    Namespace,
    Namespaces,
    Selector,
    Window,
    kubectl,
    missing_remedy,
)
from opscheck.systems.kubernetes.target import KubernetesTarget

_MAKE = "Find out why no good backup was made, fix that, and make one now"


def _velero(summary: str, *commands: str) -> Remedy:
    return Remedy(summary, *(f"velero {{{{ kubecontext_option }}}} -n {{{{ namespace }}}} {one}" for one in commands))


CRONJOB_SCRIPT = kubectl(
    "Have the script fail where a part of it fails",
    "edit cronjob {{ cronjob }}  # begin with `set -euo pipefail`, keep a file's name in a variable",
)
SCHEDULE = _velero("See what the schedule did last", "schedule describe {{ schedule }}")
SCHEDULE_PAUSED = _velero("Resume the schedule", "schedule unpause {{ schedule }}")
SCHEDULE_RUN = _velero("Make a backup now, and see it succeed", "backup create --from-schedule {{ schedule }} --wait")
VELERO_FAILED = _velero(
    "Find out from its log why the newest backup failed",
    "backup describe {{ failed_backup }} --details",
    "backup logs {{ failed_backup }}",
)
VELERO_STUCK = _velero(
    "Find out what the backup that does not end waits for", "backup describe {{ stuck_backup }} --details"
)
LOCATION = kubectl(
    "Make the storage location available: its bucket, its credentials, the network",
    "describe backupstoragelocations.velero.io {{ location }}",
)
NO_LOCATION = Remedy("Create the storage location that the schedule names, or make one the default")
STANZA = Remedy(
    "See what pgBackRest knows of the repository", "pgbackrest info --stanza={{ stanza }} --repo={{ repository }}"
)
STANZA_BACKUP = Remedy(
    _MAKE, "pgbackrest backup --stanza={{ stanza }} --repo={{ repository }} --log-level-console=info"
)
STANZA_FULL = Remedy(
    "Make a full backup now",
    "pgbackrest backup --stanza={{ stanza }} --repo={{ repository }} --type=full --log-level-console=info",
)
STANZA_DAMAGED = Remedy(
    "Repair the damaged files of the database, then make a new backup",
    "pgbackrest info --stanza={{ stanza }} --repo={{ repository }} --set={{ damaged_backup }}  # names the files",
)
STANZA_MISSING = Remedy(
    "Create the stanza, or correct its name in the policy",
    "pgbackrest info --stanza={{ stanza }}  # was it renamed, or never created?",
)
STANZA_STATUS = Remedy("See in pgBackRest's configuration and log why the stanza is not in order")
SERVER = Remedy("See which backups Barman has of the server", "barman list-backup {{ server }}")
SERVER_FAILED = Remedy("Find out why the newest backup failed", "barman show-backup {{ server }} {{ failed_backup }}")
SERVER_BACKUP = Remedy(_MAKE, "barman backup --wait {{ server }}")
SERVER_MISSING = Remedy(
    "Configure the server in Barman, or correct its name in the policy",
    "barman show-server {{ server }}  # is its file in barman.d, and `active`?",
)
NOTHING = Remedy("Configure the backup: the tool has none configured")
MISSING_SCHEDULES = missing_remedy("schedules.velero.io")


Tool = Literal["cronjob", "velero", "pgbackrest", "barman"]

_IN_CLUSTER = ("cronjob", "velero")
# The tools that a field is for; the others refuse it.
_TOOLS_OF: Mapping[str, tuple[Tool, ...]] = {
    "namespace": ("cronjob", "velero"),
    "selector": ("cronjob", "velero"),
    "name": ("cronjob", "velero"),
    "min_matches": ("cronjob", "velero"),
    "when_absent": ("velero",),
    "max_runtime": ("cronjob", "velero"),
    "allow_suspended": ("cronjob", "velero"),
    "time_zone": ("cronjob",),
    "script_lint": ("cronjob",),
    "count_synced": ("velero",),
    "copies": ("velero", "pgbackrest", "barman"),
    "full_age": ("pgbackrest", "barman"),
    "command": ("pgbackrest", "barman"),
    "stanzas": ("pgbackrest",),
    "repositories": ("pgbackrest",),
    "servers": ("barman",),
}


def _words(value: str) -> str:
    try:
        words = shlex.split(value)
    except ValueError as error:
        raise PydanticCustomError(
            "command", "a command as a shell takes it: {reason}", {"reason": str(error)}
        ) from error
    if not words:
        raise PydanticCustomError("command", "a command, such as `sudo -u postgres pgbackrest`")
    return value


Command = Annotated[str, AfterValidator(_words)]
Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
Numbers = Annotated[tuple[PositiveCount, ...], Field(min_length=1)]


class BackupJobs(Expectation, check="backup.jobs"):
    """
    The last successful backup began within the maximum age.

    A backup contains the data from when it began, so its age counts from then. Only backups that the tool reports as
    good count, and the newest of them by its time. A finding without a limit has the severity `severity`, or that of
    the worst step of `age`. While the last good backup is recent enough, a problem such as a failed newest run has
    `severity`, or the severity of the first step.
    """

    remedies = (
        *CronJobsOnTime.remedies,
        CRONJOB_SCRIPT,
        SCHEDULE,
        VELERO_FAILED,
        VELERO_STUCK,
        SCHEDULE_PAUSED,
        SCHEDULE_RUN,
        LOCATION,
        NO_LOCATION,
        STANZA,
        STANZA_BACKUP,
        STANZA_FULL,
        STANZA_DAMAGED,
        STANZA_MISSING,
        STANZA_STATUS,
        SERVER,
        SERVER_FAILED,
        SERVER_BACKUP,
        SERVER_MISSING,
        NOTHING,
        MISSING_SCHEDULES,
    )
    fact_names: ClassVar[Mapping[str, str]] = {
        **Matched.fact_names,
        **RUN_FACTS,
        "kubecontext_option": "velero's option for the context that the policy pins",
        "schedule": "the name of Velero's schedule",
        "failed_backup": "the newest backup of Velero or Barman, which failed",
        "stuck_backup": "the backup of Velero that does not end",
        "location": "the storage location that is not available",
        "stanza": "the stanza",
        "repository": "the number of its repository",
        "damaged_backup": "the newest backup of pgBackRest, which is damaged",
        "server": "the server, as Barman calls it",
    }
    former_fact_names: ClassVar = {
        **CronJobsOnTime.former_fact_names,
        "scripted": Former("cronjob", CRONJOB_SCRIPT),
        "run_schedule": Former("schedule", SCHEDULE_RUN),
        "paused_schedule": Former("schedule", SCHEDULE_PAUSED),
        "stale_stanza": Former("stanza", STANZA_BACKUP),
        "full_stanza": Former("stanza", STANZA_FULL),
        "damaged_stanza": Former("stanza", STANZA_DAMAGED),
        "missing_stanza": Former("stanza", STANZA_MISSING),
        "stale_repository": Former("repository", STANZA_BACKUP),
        "full_repository": Former("repository", STANZA_FULL),
        "damaged": Former("damaged_backup", STANZA_DAMAGED),
        "stale_server": Former("server", SERVER_BACKUP),
        "failed_server": Former("server", SERVER_FAILED),
        "missing_server": Former("server", SERVER_MISSING),
        "failed": Former("failed_backup", SERVER_FAILED),
    }

    tool: Tool
    """
    The tool that makes the backups: `cronjob` and `velero`, read from a cluster, or `pgbackrest` and `barman`, run as
    commands on a host. Only commands that change nothing are run: no `pgbackrest check`, no `barman check`.
    """
    target: Annotated[Target, TargetOf(HostTarget, KubernetesTarget)]
    """The cluster for `cronjob` and `velero`; the host of `pgbackrest` and `barman`."""
    age: Graded[Duration]
    """The maximum age of the last good backup, from when it began."""
    full_age: Graded[Duration] | None = None
    """The maximum age of the last good full backup, from when it began."""
    copies: CountLeft | None = None
    """The minimum number of good backups of each schedule, repository or server."""

    namespace: Namespace | Namespaces | None = None
    """
    The namespace of cron jobs or Velero's objects, a list of several, or `*` for all. By default the target's
    namespace for cron jobs, and `velero` for Velero.
    """
    selector: Selector | None = None
    """A label selector for the cron jobs or Velero's schedules; all by default."""
    name: str | None = Field(default=None, min_length=1)
    """Judge only cron jobs or schedules whose name matches this pattern, with `*` and `?`."""
    min_matches: Count = 1
    """The minimum number of cron jobs or schedules; 0 allows none."""
    when_absent: Literal["unknown", "skip"] = "unknown"
    """The verdict for a cluster without Velero."""
    max_runtime: Window = Duration.parse("12h")
    """The maximum duration of a backup; a longer one hangs, and may prevent the next."""
    allow_suspended: bool = False
    """
    True accepts suspended cron jobs and paused schedules, which are then not judged; when all are, the verdict is
    unknown.
    """
    time_zone: TimeZone = "UTC"
    """The zone of cron jobs without a `timeZone`: that of the controller manager."""
    script_lint: bool = True
    """
    True judges the scripts in the commands of cron jobs. Findings are faults that hide a failed dump: a pipe without
    `pipefail`, `|| true`, a file name that is computed twice.
    """
    count_synced: bool = False
    """
    True counts backups that Velero found in the bucket: those of another cluster, or of this cluster before it was
    built again.
    """

    timeout: Timeout | None = None
    """
    The timeout of each query; 30s by default for `pgbackrest`, which may read a bucket, and for `barman`, which runs
    several commands.
    """
    command: Command | None = None
    """
    The command on the host, such as `sudo -u postgres pgbackrest`; the tool's name by default. `pgbackrest` may have
    options, such as `--config=/etc/other.conf`.
    """
    stanzas: Names | None = None
    """The stanzas that pgBackRest must have; only these are judged. All by default."""
    repositories: Numbers | None = None
    """The numbers of the repositories that each stanza must have backups in; all configured ones by default."""
    servers: Names | None = None
    """The servers that Barman must have; only these are judged. All by default."""

    @field_validator("target")
    @classmethod
    def _target_of_the_tool(cls, target: Target, info: ValidationInfo) -> Target:
        tool = info.data.get("tool")
        kind: type[Target] = KubernetesTarget if tool in _IN_CLUSTER else HostTarget
        if tool is not None and not isinstance(target, kind):
            raise PydanticCustomError(
                "wrong_kind",
                "a target of kind {kinds} for the tool {tool}; {name} is of kind {kind}",
                {"kinds": kind.own_kind, "tool": tool, "name": target.name, "kind": target.kind},
            )
        return target

    @model_validator(mode="after")
    def _fields_of_the_tool(self) -> Self:
        for field in sorted(name for name, tools in _TOOLS_OF.items() if self.tool not in tools):
            if field in self.model_fields_set:
                raise PydanticCustomError(
                    "field_of_other_tool",
                    "no `{field}` with `tool: {tool}`; it is for {tools}",
                    {"field": field, "tool": self.tool, "tools": " and ".join(_TOOLS_OF[field])},
                )
            # The model is frozen for all other code; here it is still being made.
            # `explain` shows only limits that count. No code reads a field of another tool.
            self.__dict__[field] = None
        if self.timeout is None and self.tool not in _IN_CLUSTER:
            self.__dict__["timeout"] = Duration.parse("30s")
        return self

    @property
    def mild_severity(self) -> Severity:
        """The severity of a problem while the last good backup is recent enough."""
        return self.severity or self.age.steps[0][0]

    @property
    def cronjobs(self) -> CronJobsOnTime:
        """The selected cron jobs, as an expectation of cron jobs."""
        return CronJobsOnTime.model_validate(
            self._in_cluster() | {"check": CronJobsOnTime.check_name, "time_zone": self.time_zone}
        )

    @property
    def schedules(self) -> Matched:
        """The selected schedules of Velero."""
        fields = self._in_cluster()
        return Matched.model_validate(fields | {"check": self.check, "namespace": self.namespace or "velero"})

    def _in_cluster(self) -> dict[str, Any]:
        names = ("id", "target", "namespace", "selector", "name", "min_matches")
        return {name: getattr(self, name) for name in names} | {"severity": self.ungraded_severity}

    @property
    def host(self) -> str:
        """The host's address in reports."""
        return self.target.address or self.target.name

    @property
    def program(self) -> tuple[str, ...]:
        """The command to run on the host."""
        return tuple(shlex.split(self.command or self.tool))

    @property
    def pgbackrest(self) -> Query[PgbackrestInfo]:
        """The query to pgBackRest."""
        return ReadPgbackrest(self.target.name, command=self.program)

    @property
    def barman(self) -> Query[BarmanCatalogue]:
        """The query to Barman."""
        return ReadBarman(self.target.name, command=self.program, servers=self.servers or ())

    def queries(self) -> Iterable[Query[Any]]:
        """The queries of the tool."""
        match self.tool:
            case "cronjob":
                return *self.cronjobs.lists(ListCronJobs), *self.cronjobs.lists(ListJobs)
            case "velero":
                kinds = (ListVeleroSchedules, ListVeleroBackups, ListStorageLocations)
                return [query for kind in kinds for query in self.schedules.lists(cast("Any", kind))]
            case "pgbackrest":
                return (self.pgbackrest,)
        return (self.barman,)

    def evidence_queries(self) -> Iterable[Query[Any]]:
        """In a cluster: the identity of opscheck, and the Warning events about cron jobs."""
        if self.tool == "cronjob":
            return InNamespaces.evidence_queries(self.cronjobs)
        return InCluster.evidence_queries(self.schedules) if self.tool == "velero" else ()

    def does_not_apply(self, problem: Problem) -> bool:
        """True when Velero is not installed and the policy accepts that."""
        return problem.kind is ProblemKind.ABSENT and self.when_absent == "skip"
