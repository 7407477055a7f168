"""What findings about the tools that make backups know, and what to type for each."""

import shlex
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, cast

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from opscheck.core.expectation import Expectation, Remediation
from opscheck.core.field_types import CountLeft, TimeZone
from opscheck.core.observation import Problem, ProblemKind
from opscheck.core.query import Query
from opscheck.core.target import Target, TargetOf
from opscheck.core.units import Count, Duration, Graded, PositiveCount, Severity, Timeout
from opscheck.systems.backup.tools import BarmanCatalogue, PgbackrestInfo, ReadBarman, ReadPgbackrest
from opscheck.systems.backup.velero import ListStorageLocations, ListVeleroBackups, ListVeleroSchedules
from opscheck.systems.host.target import HostTarget
from opscheck.systems.kubernetes.batch import ListCronJobs, ListJobs
from opscheck.systems.kubernetes.cronjobs import CronJobsOnTime
from opscheck.systems.kubernetes.remedies import PLACE_FACTS, kubectl
from opscheck.systems.kubernetes.scope import InCluster, InNamespaces, Matched, Namespace, Namespaces, Selector, Window
from opscheck.systems.kubernetes.target import KubernetesTarget

SUMMARY = "See why the last backups failed or were not made, mend that, then make one now and see it succeed"

# A command that names a fact is left out of findings without it, so each kind of trouble has facts of its own.
FACTS: Mapping[str, Mapping[str, str]] = {
    "cronjob": PLACE_FACTS
    | {
        "cronjob": "the cron job's name",
        "suspended": "the cron job, when it is suspended",
        "failed_job": "its newest job, when that failed",
        "active_job": "the oldest of its jobs that still run",
        "rerun_of": "the cron job, when it is neither suspended nor running",
        "rerun": "a name for another run of it",
        "scripted": "the cron job, when its script hides failures",
    },
    "velero": PLACE_FACTS
    | {
        "schedule": "the name of Velero's schedule",
        "run_schedule": "the schedule, when a backup should be made by it now",
        "paused_schedule": "the schedule, when it is paused",
        "failed_backup": "its newest backup, when that failed",
        "stuck_backup": "its backup that does not end",
        "location": "the storage location that is not available, or not there",
    },
    "pgbackrest": {
        "stanza": "the stanza",
        "repository": "the number of its repository",
        "stale_stanza": "the stanza, when its last good backup is too old or there is none",
        "stale_repository": "the number of its repository then",
        "full_stanza": "the stanza, when its last full backup is too old or there is none",
        "full_repository": "the number of its repository then",
        "damaged": "the newest backup, when it is damaged",
        "damaged_stanza": "its stanza",
        "missing_stanza": "a stanza that is not there",
    },
    "barman": {
        "server": "the server, as Barman calls it",
        "stale_server": "the server, when its last good backup is too old or there is none",
        "failed": "the newest backup that failed",
        "failed_server": "its server",
        "missing_server": "a server that Barman does not know",
    },
}


def velero(*commands: str) -> tuple[str, ...]:
    """Remediation commands of Velero's own program, each with the context that the policy pins, or without."""
    return tuple(
        form
        for command in commands
        for form in (
            f"velero --kubecontext {{{{ context }}}} -n {{{{ namespace }}}} {command}",
            f"velero -n {{{{ current_namespace }}}} {command}",
        )
    )


TOOL_COMMANDS = (
    *kubectl(
        "describe cronjob {{ cronjob }}",
        "logs job/{{ failed_job }} --all-containers --tail=100",
        "describe job {{ active_job }}",
        "logs job/{{ active_job }} --all-containers --tail=100",
        'patch cronjob {{ suspended }} -p \'{"spec": {"suspend": false}}\'',
        "create job --from=cronjob/{{ rerun_of }} {{ rerun }}",
        "edit cronjob {{ scripted }}  # begin with `set -euo pipefail`, keep a file's name in a variable",
    ),
    *velero(
        "schedule describe {{ schedule }}",
        "backup describe {{ failed_backup }} --details",
        "backup logs {{ failed_backup }}",
        "backup describe {{ stuck_backup }} --details",
        "schedule unpause {{ paused_schedule }}",
        "backup create --from-schedule {{ run_schedule }} --wait",
    ),
    *kubectl("describe backupstoragelocations.velero.io {{ location }}"),
    "pgbackrest info --stanza={{ stanza }} --repo={{ repository }}",
    "pgbackrest backup --stanza={{ stale_stanza }} --repo={{ stale_repository }} --log-level-console=info",
    "pgbackrest backup --stanza={{ full_stanza }} --repo={{ full_repository }} --type=full --log-level-console=info",
    "pgbackrest info --stanza={{ damaged_stanza }} --repo={{ repository }} --set={{ damaged }}  # names the files",
    "pgbackrest info --stanza={{ missing_stanza }}  # was it renamed, or never created?",
    "barman list-backup {{ server }}",
    "barman show-backup {{ failed_server }} {{ failed }}",
    "barman backup --wait {{ stale_server }}",
    "barman show-server {{ missing_server }}  # is its file in barman.d, and `active`?",
)


Tool = Literal["cronjob", "velero", "pgbackrest", "barman"]

_IN_CLUSTER = ("cronjob", "velero")
_ON_HOST = ("pgbackrest", "barman")
# Which tools a field says something of; the others refuse it.
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

_VELEROS_NAMESPACE = "velero"
_TIME_FOR_A_PROGRAM = Duration.parse("30s")


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
    Backups are made: the last good one is young enough, counted from when it began.

    What a backup holds is what was there when it began, so that its age counts from then, and a long one is old when
    it ends. Only what the tool itself calls good counts, and the newest of it by its time. What no limit grades is as
    bad as `severity`, or as the worst step of `age`; what has gone wrong while a good backup is still young enough,
    such as a newest run that failed, is as bad as `severity`, or as the mildest step.
    """

    fact_names: ClassVar[Mapping[str, str]] = {name: word for facts in FACTS.values() for name, word in facts.items()}
    default_remediation = Remediation(summary=SUMMARY, commands=TOOL_COMMANDS)

    tool: Tool
    """
    What makes the backups: `cronjob` and `velero`, which a cluster tells of, or `pgbackrest` and `barman`, whose
    command a host runs. Nothing is asked that changes anything: no `pgbackrest check`, no `barman check`.
    """
    target: Annotated[Target, TargetOf(HostTarget, KubernetesTarget)]
    """The cluster of `cronjob` and `velero`; of `pgbackrest` and `barman` the host where they keep backups."""
    age: Graded[Duration]
    """How long ago the last good backup may have begun."""
    full_age: Graded[Duration] | None = None
    """How long ago the last good full backup may have begun, which the others are differences to."""
    copies: CountLeft | None = None
    """How many good backups there must be, of each schedule, repository or server."""

    namespace: Namespace | Namespaces | None = None
    """
    Where cron jobs or Velero's objects are: a namespace, a list of several, `*` for every one. By default the
    target's own for cron jobs, and `velero` for Velero.
    """
    selector: Selector | None = None
    """A label selector for the cron jobs or Velero's schedules; all by default, so that others are to be left out."""
    name: str | None = Field(default=None, min_length=1)
    """Only cron jobs or schedules whose name matches this, with `*` and `?` as in a file name."""
    min_matches: Count = 1
    """How many cron jobs or schedules must be there at least; 0 says that there may be none."""
    when_absent: Literal["unknown", "skip"] = "unknown"
    """What to say of a cluster where Velero is not installed at all."""
    max_runtime: Window = Duration.parse("12h")
    """How long a backup may take; what runs for longer hangs, and may keep others from starting."""
    allow_suspended: bool = False
    """
    Whether cron jobs may be suspended, and schedules paused. Those that are, are then not judged; where all are, nobody
    knows of a backup.
    """
    time_zone: TimeZone = "UTC"
    """The zone of cron jobs without a `timeZone`, which is that of the controller manager."""
    script_lint: bool = True
    """
    Whether the scripts of cron jobs are looked through, as far as they stand in their commands, for what makes a
    failed dump a success: a pipe without `pipefail`, `|| true`, a file's name that is computed twice.
    """
    count_synced: bool = False
    """
    Whether backups count that Velero found in the bucket and did not make here. Another cluster's look like this, and
    this cluster's after it was built anew.
    """

    timeout: Timeout | None = None
    """
    How long each of its questions may take; of `pgbackrest` and `barman` 30s by default, for the first may look into
    a bucket, and the second is asked of one server after the other.
    """
    command: Command | None = None
    """
    What to run on the host, such as `sudo -u postgres pgbackrest`; the tool's name by default. Of `pgbackrest` options
    may follow, such as `--config=/etc/other.conf`.
    """
    stanzas: Names | None = None
    """The stanzas of pgBackRest that must be there; only these are judged. All that it knows by default."""
    repositories: Numbers | None = None
    """The repositories, by their numbers, that each stanza must be backed up to; each that it knows by default."""
    servers: Names | None = None
    """The servers that Barman must know; only these are judged. All that it knows by default."""

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
        for field in sorted(self.model_fields_set):
            tools = _TOOLS_OF.get(field)
            if tools is not None and self.tool not in tools:
                raise PydanticCustomError(
                    "field_of_other_tool",
                    "no `{field}` beside `tool: {tool}`; it is for {tools}",
                    {"field": field, "tool": self.tool, "tools": " and ".join(tools)},
                )
        return self

    @model_validator(mode="after")
    def _says_nothing_of_other_tools(self) -> Self:
        # So that nobody reads of limits that count for nothing. No code asks for a field of another tool.
        for field in (name for name, tools in _TOOLS_OF.items() if self.tool not in tools):
            self.__dict__[field] = None
        return self

    @model_validator(mode="after")
    def _time_for_a_program(self) -> Self:
        if self.timeout is None and self.tool in _ON_HOST:
            # The model is frozen for everybody else; here it is still being made.
            self.__dict__["timeout"] = _TIME_FOR_A_PROGRAM
        return self

    @property
    def mild_severity(self) -> Severity:
        """How bad it is what has gone wrong while there is a good backup that is young enough."""
        return self.severity or self.age.steps[0][0]

    @property
    def cronjobs(self) -> CronJobsOnTime:
        """The cron jobs that are meant, as checks of cron jobs take them."""
        return CronJobsOnTime.model_validate(
            self._in_cluster() | {"check": CronJobsOnTime.check_name, "time_zone": self.time_zone}
        )

    @property
    def schedules(self) -> Matched:
        """The schedules of Velero that are meant."""
        fields = self._in_cluster()
        return Matched.model_validate(fields | {"check": self.check, "namespace": self.namespace or _VELEROS_NAMESPACE})

    def _in_cluster(self) -> dict[str, Any]:
        names = ("id", "target", "namespace", "selector", "name", "min_matches")
        return {name: getattr(self, name) for name in names} | {"severity": self.ungraded_severity}

    @property
    def program(self) -> tuple[str, ...]:
        """The words to run on the host."""
        return tuple(shlex.split(self.command or self.tool))

    @property
    def pgbackrest(self) -> Query[PgbackrestInfo]:
        """What pgBackRest is asked."""
        return ReadPgbackrest(self.target.name, command=self.program)

    @property
    def barman(self) -> Query[BarmanCatalogue]:
        """What Barman is asked."""
        return ReadBarman(self.target.name, command=self.program, servers=self.servers or ())

    def looks_at(self) -> Iterable[Query[Any]]:
        """What it is judged by."""
        match self.tool:
            case "cronjob":
                return *self.cronjobs.lists(ListCronJobs), *self.cronjobs.lists(ListJobs)
            case "velero":
                kinds = (ListVeleroSchedules, ListVeleroBackups, ListStorageLocations)
                return [query for kind in kinds for query in self.schedules.lists(cast("Any", kind))]
            case "pgbackrest":
                return (self.pgbackrest,)
        return (self.barman,)

    def aside(self) -> Iterable[Query[Any]]:
        """Of a cluster: who asks, and the Warning events about cron jobs."""
        if self.tool == "cronjob":
            return InNamespaces.aside(self.cronjobs)
        return InCluster.aside(self.schedules) if self.tool == "velero" else ()

    def queries(self) -> Iterable[Query[Any]]:
        """What it is judged by, and what is asked beside it."""
        return (*self.looks_at(), *self.aside())

    def does_not_apply(self, problem: Problem) -> bool:
        """True where Velero is not installed and the policy says that this is all right."""
        return problem.kind is ProblemKind.ABSENT and self.when_absent == "skip"

    def facts_ruled_out(self) -> frozenset[str]:
        """What findings about other tools carry; and of a cluster's commands one form is for a pinned context."""
        others = frozenset(self.fact_names) - FACTS[self.tool].keys()
        if not isinstance(self.target, KubernetesTarget):
            return others
        return others | {"context" if self.target.context is None else "current_namespace"}
