"""backup.objects: the backups in a bucket or folder, by a listing."""

from collections.abc import Callable, Iterable
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, field_validator, model_validator
from pydantic_core import PydanticCustomError

from opscheck.core.field_types import BytesLeft, CountLeft, only, values
from opscheck.core.json_paths import JsonPath
from opscheck.core.observation import Problem, ProblemKind
from opscheck.core.query import Query
from opscheck.core.remedy import Remedy
from opscheck.core.units import Duration, Graded, GradedMinimum, Percentage, PositiveCount, Severity
from opscheck.systems.backup.series import (
    LIST_BUCKET,
    LIST_FOLDER,
    LOCATION_FACTS,
    RERUN,
    RERUN_FACTS,
    CronJobName,
    OfSeries,
    Reach,
    Series,
)
from opscheck.systems.stores.content import KEY, ReadManifest, SidecarKey
from opscheck.systems.stores.listing import ListUploads
from opscheck.systems.stores.target import S3Target, former_of_bucket

_MOST_MANIFESTS = 3
_DAY_S = 86400.0
_ABOVE_NOTHING = only(
    lambda limit: min(values(limit)) > 0, "limit_unreachable", "more than 0%: nothing can be smaller than that"
)


FAILED = Remedy("Find out why no good backup was written, and fix it")
SMALL = Remedy(
    "Look into the small backup for an error message of the dump",
    "aws {{ endpoint_option }} s3 cp {{ url }} - | head -c 1000 | od -c | head  # show its content",
)
ARCHIVED = Remedy(
    "Keep the newest backup out of the archive, and restore this one from it",
    "aws {{ endpoint_option }} s3api restore-object --bucket {{ bucket }} --key {{ key }} --restore-request Days=7",
)
DELETED = Remedy(
    "Find out who deleted the newest backup, and restore its last version",
    "aws {{ endpoint_option }} s3api list-object-versions --bucket {{ bucket }} --prefix {{ key }}",
)
UNFINISHED = Remedy(
    "Abort the upload, and let a lifecycle rule abort unfinished ones",
    "aws {{ endpoint_option }} s3api abort-multipart-upload --bucket {{ bucket }} --key {{ key }}"
    " --upload-id {{ upload_id }}  # unless it is still running",
)


class Manifest(BaseModel):
    """A sidecar JSON document of each backup, with the time of its data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: SidecarKey
    """Its key, in which {key} is the key of the backup: `{key}.json`; for a folder `{key}manifest.json`."""
    time: JsonPath
    """JMESPath of the time: ISO 8601, in `time_zone` if it has no zone, or seconds since 1970."""

    def key_of(self, backup: str) -> str:
        """The key of the manifest of that backup."""
        return self.key.replace(KEY, backup)


class BackupObjects(OfSeries, check="backup.objects"):
    """
    The newest backup is recent, large enough, and not the only one.

    The age is that of its data: the time in its name, or in its manifest. The modification time must agree with it,
    since a copy of an old backup looks new, and a name in another time zone looks older or newer.
    """

    any_limit_of = ("age", "size_floor", "size_share", "count", "unfinished_uploads")
    remedies = (FAILED, RERUN, LIST_BUCKET, LIST_FOLDER, SMALL, ARCHIVED, DELETED, UNFINISHED)
    no_answer_remedies = (FAILED,)
    fact_names: ClassVar = {
        **LOCATION_FACTS,
        "url": "the backup, as s3://…",
        "key": "the key of the backup or of the upload",
        "upload_id": "the id of the upload that was not finished",
        **RERUN_FACTS,
    }
    former_fact_names: ClassVar = {
        **former_of_bucket("listed", "location"),
        **former_of_bucket("small", "url", SMALL),
        **former_of_bucket("frozen", "key", ARCHIVED),
        **former_of_bucket("deleted", "key", DELETED),
        **former_of_bucket("upload", "key", UNFINISHED),
    }

    age: Graded[Duration] | None = None
    """The maximum age of the newest backup's data: the recovery point objective (RPO)."""
    manifest: Manifest | None = None
    """A sidecar JSON document with the time of the data, when names contain no time or a wrong one."""
    clock_slack: Duration = Duration.parse("15m")
    """The tolerance for clocks: how far in the future a time may be, and how long before it a backup may be written."""
    upload_within: Duration = Duration.parse("6h")
    """
    The maximum time from the backup's own time to its last write. A later write means that an old backup was copied,
    or that `time_zone` is not the zone of the names.
    """
    size_floor: BytesLeft | None = None
    """The minimum size of the newest backup. An empty gzip, zstd, xz, bzip2 or lz4 file is always a finding."""
    size_share: Annotated[GradedMinimum[Percentage], _ABOVE_NOTHING] | None = None
    """The minimum size of the newest backup, compared with the median of those before it."""
    compared_with: PositiveCount = 7
    """The number of earlier backups for the median; with fewer than three the share is not judged yet."""
    count: CountLeft | None = None
    """The minimum number of backups; empty ones do not count."""
    kept_for: Duration | None = None
    """The period that `count` applies to; all backups by default."""
    archived: bool = False
    """True accepts a newest backup in an archive class such as GLACIER, where reading takes hours."""
    versions: bool = False
    """True counts each version of an object as a backup, for a key that is overwritten."""
    unfinished_uploads: Graded[Duration] | None = None
    """The maximum age of an unfinished upload: it costs money, and no listing shows it."""
    cronjob: CronJobName | None = None
    """The cron job that makes the backups, as namespace/name, for the command that runs it now."""

    @property
    def reach(self) -> Reach:
        """As far as its limits reach: any older backup breaks the worst of them."""
        look_back_s = None
        if self.count is None or self.kept_for is not None:
            worst = max(values(self.age)) if self.age is not None else _DAY_S
            look_back_s = max(worst, self.kept_for or 0.0) + self.clock_slack
        # The newest backup, and those that its size is compared with.
        least = 1 + (self.compared_with if self.size_share is not None else 0)
        return Reach(look_back_s, self.age is not None, least, self.versions)

    @property
    def uploads(self) -> ListUploads:
        """The unfinished uploads."""
        return ListUploads(self.target.name, self.template.prefix)

    @property
    def mild_severity(self) -> Severity:
        """The severity of an implausible time that breaks no limit."""
        mildest = [limit.steps[0][0] for limit in self.limits().values()]
        return self.severity or max(mildest, default=Severity.P2)

    def queries(self) -> Iterable[Query[Any]]:
        """The listings, and the unfinished uploads."""
        return [*super().queries(), *([self.uploads] if self.unfinished_uploads is not None else [])]

    def described(self) -> Iterable[Query[Any]]:
        """The queries, and the manifests under the template's prefix."""
        yield from self.queries()
        if self.manifest is not None:
            yield ReadManifest(self.target.name, self.manifest.key_of(self.template.prefix), self.manifest.time)

    def follow_up_queries(self, answer: Callable[[Query[Any]], Any]) -> Iterable[Query[Any]]:
        """The manifests of the newest backups of each series."""
        if self.manifest is None:
            return []
        return [query for series in self.each_series(answer) for query in self.manifests(series).values()]

    def manifests(self, series: Series) -> dict[str, ReadManifest]:
        """The query for the manifest of each backup that may be the newest, by its key."""
        if self.manifest is None:
            return {}
        newest = series.backups[:_MOST_MANIFESTS]
        return {
            one.key: ReadManifest(self.target.name, self.manifest.key_of(one.key), self.manifest.time) for one in newest
        }

    def no_answer(self, problem: Problem) -> Severity | None:
        """A bucket that does not exist contains no backup."""
        return self.ungraded_severity if problem.kind is ProblemKind.ABSENT else None

    @property
    def _time_is_known_otherwise(self) -> bool:
        return self.manifest is not None

    @field_validator("kept_for")
    @classmethod
    def _something_is_kept(cls, value: Duration | None) -> Duration | None:
        if value is not None and value <= 0:
            raise PydanticCustomError("no_time", "a duration longer than 0s, such as 30d")
        return value

    @model_validator(mode="after")
    def _fields_fit(self) -> Self:
        if self.kept_for is not None and self.count is None:
            raise PydanticCustomError("kept_uncounted", "`count` with kept_for: the minimum number of that time")
        if self.unfinished_uploads is not None and not isinstance(self.target, S3Target):
            raise PydanticCustomError("uploads_of_folder", "a target of kind s3 for unfinished_uploads")
        if self.versions and (self.template.is_folder or not isinstance(self.target, S3Target)):
            raise PydanticCustomError("versions_of_folder", "a target of kind s3, and `names` of objects, for versions")
        if self.versions and self.manifest is not None:
            raise PydanticCustomError("versions_manifest", "no `manifest` with versions: it belongs to the last one")
        return self
