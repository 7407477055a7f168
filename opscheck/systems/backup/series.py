"""Series of backups in a store: their names, and the common fields of their expectations."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from opscheck.core.expectation import Expectation
from opscheck.core.field_types import TimeZone, only
from opscheck.core.findings import judge_all
from opscheck.core.query import Query
from opscheck.core.remedy import Fact, Remedy
from opscheck.core.units import format_duration
from opscheck.systems.kubernetes.batch import rerun_name
from opscheck.systems.stores.listing import ListBackups, Listing, StoredBackup
from opscheck.systems.stores.names import SERIES, NameTemplate, name_template
from opscheck.systems.stores.target import FolderTarget, StoreTarget

_LIST = "List the store"
LIST_BUCKET = Remedy(
    _LIST,
    "aws {{ endpoint_option }} s3 ls --recursive {{ location }} | sort | tail  # newest last",
)
LIST_FOLDER = Remedy(_LIST, "ls -lt {{ folder }} | head  # newest first")
RERUN = Remedy(
    "Run the cron job that makes the backups now",
    "kubectl -n {{ job_namespace }} create job --from=cronjob/{{ rerun_of }} {{ rerun }}",
)
LOCATION_FACTS: Mapping[str, str] = {
    "location": "where the backups are in the bucket, as s3://…",
    "folder": "the folder of the backups",
}
RERUN_FACTS: Mapping[str, str] = {
    "job_namespace": "the namespace of the cron job that makes them, where the policy names it",
    "rerun_of": "the cron job",
    "rerun": "a name for another run of it",
}
CronJobName = Annotated[str, Field(pattern=r"^[a-z0-9.-]+/[a-z0-9.-]+$")]
"""A cron job as namespace/name."""

_EXACT = timedelta(seconds=1)
_UPLOADED_WITHIN = timedelta(hours=6)

Answer = Callable[[ListBackups], Listing]
"""Returns the answer to a query, as `observe` does. Raises CouldNotObserve."""


@dataclass(frozen=True)
class Suggestion:
    """Remedies of a finding, and the facts in their commands."""

    remedies: tuple[Remedy, ...] = ()
    facts: Mapping[str, Fact] = field(default_factory=dict)

    def __add__(self, other: "Suggestion") -> "Suggestion":
        return Suggestion((*self.remedies, *other.remedies), {**self.facts, **other.facts})


def list_backups(target: StoreTarget, prefix: str) -> Suggestion:
    """List the backups whose keys have this prefix."""
    if isinstance(target, FolderTarget):
        return Suggestion((LIST_FOLDER,), {"folder": target.address_of(prefix.rpartition("/")[0])})
    return Suggestion((LIST_BUCKET,), {"location": target.address_of(prefix)})


def by_place(target: StoreTarget, key: str, *, in_bucket: Remedy, in_folder: Remedy) -> Suggestion:
    """A remedy for one backup: its command contains `url` in a bucket, and `file` in a folder."""
    address = target.address_of(key)
    if isinstance(target, FolderTarget):
        return Suggestion((in_folder,), {"file": address})
    return Suggestion((in_bucket,), {"url": address})


def rerun(cronjob: str | None) -> Suggestion:
    """Run the cron job that makes the backups; empty when the policy names none."""
    if cronjob is None:
        return Suggestion()
    namespace, _, name = cronjob.partition("/")
    return Suggestion((RERUN,), {"job_namespace": namespace, "rerun_of": name, "rerun": rerun_name(name)})


def moment_text(moment: datetime) -> str:
    """A moment in reports."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True)
class Backup:
    """One backup, and the time when it began."""

    stored: StoredBackup
    at: datetime
    """The time of its data: the time in its name, or the modification time."""

    @property
    def key(self) -> str:
        """Its key in the store."""
        return self.stored.key

    def in_future(self, now: datetime) -> str:
        """The text for a backup from the future."""
        ahead = format_duration((self.at - now).total_seconds())
        return f"begun in the future: {moment_text(self.at)}, {ahead} ahead"


@dataclass(frozen=True)
class Series:
    """The backups of one thing, such as one database."""

    name: str
    """The value of {series}; empty when names contain none."""
    query: ListBackups
    """The query that listed them."""
    listing: Listing
    backups: tuple[Backup, ...] = ()
    """Newest first, by the time of their data; without delete markers."""
    markers: tuple[StoredBackup, ...] = field(default=())
    """Delete markers, if versions were listed."""

    @property
    def newest(self) -> Backup | None:
        """The newest one, or None."""
        return self.backups[0] if self.backups else None

    @property
    def prefix(self) -> str:
        """The prefix of the keys of its backups."""
        return name_template(self.template).prefix

    @property
    def template(self) -> str:
        """The template for the names of its backups, as in a policy."""
        return name_template(self.query.template).of_series(self.name).text if self.name else self.query.template

    @property
    def found_instead(self) -> str:
        """The content of the store when it has no backup of this series."""
        listing, where = self.listing, self.prefix or "the store's root"
        if self.markers:
            return f"all that were there are deleted, {self.markers[0].key} among them"
        if listing.since and listing.backups:
            return f"no backup of it from {listing.since} on"
        if listing.others:
            such = ", ".join(listing.examples)
            return f"no backup among {listing.others} other objects under {where}, such as {such}"
        if listing.backups:
            return f"no backup of it among {len(listing.backups)} of others"
        if listing.elsewhere:
            return f"nothing under {where}; there are {', '.join(listing.elsewhere)}"
        return f"nothing under {where}"


def _begun(local: datetime, resolution: timedelta, modified: datetime) -> datetime:
    """
    The start time, by a name that may contain only the day.

    A backup that was written on that day, or within hours after it, began before that. One that was written later is a
    copy, and as old as its name allows.
    """
    try:
        # Python compares times of the same zone by the clock, where one hour occurs twice a year.
        named = local.astimezone(UTC)
    except OverflowError:  # a name with the year 1 or 9999
        named = local.replace(tzinfo=UTC)
    if resolution > _EXACT and named <= modified <= named + resolution + _UPLOADED_WITHIN:
        return min(modified, named + resolution)
    return named


_DAY_S = 86400.0
_NO_SERIES = re.compile(r"[/*?{}]")


def _template(text: str) -> str:
    try:
        name_template(text)
    except ValueError as error:
        raise PydanticCustomError(
            "name_template",
            "a template of keys, such as database/backup-%Y%m%d-%H%M%S.dump ({reason})",
            {"reason": str(error)},
        ) from error
    return text


Names = Annotated[str, AfterValidator(_template)]
"""A template for keys of backups; see NameTemplate."""
SeriesName = Annotated[
    str,
    only(
        lambda text: text and not _NO_SERIES.search(text),
        "series_name",
        "a word of the names, without / * ? { }",
    ),
]


@dataclass(frozen=True)
class Reach:
    """The extent of a listing of backups."""

    look_back_s: float | None = 2 * _DAY_S
    """The age up to which backups are listed, if the newest is younger; None for all backups."""
    by_limit: bool = False
    """True when any newest backup older than `look_back_s` breaks a limit."""
    least: int = 1
    """The number of backups of each series that it needs, if they exist."""
    versions: bool = False
    """True when each version of an object is a backup."""


class OfSeries(Expectation):
    """An expectation of backups in a store, and of the newest one of each series."""

    target: StoreTarget
    """The bucket or folder with the backups."""
    names: Names
    """
    The template of their names: a key with %Y %m %d %H %M %S (or %y, %j, %s, %z). `*` and `?` match text between two
    slashes, `**` any text, and {series} the name of the database or system. It ends with a slash for folders.
    """
    time_zone: TimeZone = "UTC"
    """The zone of times in names without a zone."""
    series: tuple[SeriesName, ...] = ()
    """
    The required values of {series}, each with its own newest backup. By default those that are found: a series without
    any backup is then not detected.
    """
    time_from: Literal["name", "modified"] = "name"
    """
    The source of the time of the data. `modified`, the modification time, is wrong for copies of old backups; names
    without a date need it.
    """

    @property
    def template(self) -> NameTemplate:
        """The template of their names."""
        return name_template(self.names)

    @property
    def reach(self) -> Reach:
        """The extent of its listings."""
        return Reach()

    def listings(self) -> list[tuple[str, ListBackups]]:
        """The listings, each with its series; the series is empty for a listing of all of them."""
        if self._lists_each:
            return [(one, self._listing(self.template.of_series(one).text)) for one in self.series]
        return [("", self._listing(self.names))]

    def each_series(self, answer: Answer) -> list[Series]:
        """
        Each series, also without a backup. `answer` is `observe`, or the argument of `follow_up_queries`.

        Raises CouldNotObserve.
        """
        return [series for name, query in self.listings() for series in self.series_in(name, query, answer)]

    def series_in(self, name: str, query: ListBackups, answer: Answer) -> list[Series]:
        """
        The series in one of its listings, sorted by name: required ones also without a backup.

        name: the series that was listed; empty when all were listed together. Raises CouldNotObserve.
        """
        listing, template, zone = answer(query), name_template(query.template), ZoneInfo(self.time_zone)
        wanted = {name} if name else set(self.series)
        backups: dict[str, list[Backup]] = {one: [] for one in wanted}
        markers: dict[str, list[StoredBackup]] = {}
        for stored in listing.backups:
            named = template.read(stored.key)
            if named is None:
                continue
            series = name or named.series
            if stored.deleted:
                markers.setdefault(series, []).append(stored)
            else:
                at = named.in_zone(zone) if self._by_name else None
                begun = stored.modified if at is None else _begun(at, template.resolution, stored.modified)
                backups.setdefault(series, []).append(Backup(stored, begun))
        for found in backups.values():
            found.sort(key=lambda one: (one.at, one.stored.modified, one.key), reverse=True)
        return [
            Series(one, query, listing, tuple(backups.get(one, ())), tuple(markers.get(one, ())))
            for one in sorted({*backups, *markers} or {""})
            if not wanted or one in wanted
        ]

    def judge_each(self, observe: Answer, judge: Callable[[Series], None]) -> None:
        """Judge each series, also after one without an answer. Raises the first CouldNotObserve at the end."""

        def judge_listing(name: str, query: ListBackups) -> None:
            judge_all(*(partial(judge, series) for series in self.series_in(name, query, observe)))

        judge_all(*(partial(judge_listing, name, query) for name, query in self.listings()))

    def queries(self) -> Iterable[Query[Any]]:
        """The listings."""
        return [query for _, query in self.listings()]

    @property
    def _lists_each(self) -> bool:
        """True when a listing per series is smaller than one of all: no variable part precedes {series}."""
        return bool(self.series) and self.template.prefix == self.names.partition(SERIES)[0].replace("%%", "%")

    @property
    def _by_name(self) -> bool:
        return self.time_from == "name" and self.template.says_when

    def _listing(self, template: str) -> ListBackups:
        reach = self.reach
        # A key that sorts before a date may have been written since. In one listing of several series, one that
        # stopped, or is rarer than the others, may be older than any time limit.
        unlimited = self.template.has_series and not (self._lists_each or (self.series and reach.by_limit))
        within_s = None if unlimited or not self._by_name else reach.look_back_s
        each = reach.least if self._lists_each else reach.least * max(1, len(self.series))
        least = each if within_s is not None else 1
        return ListBackups(self.target.name, template, within_s, least, versions=reach.versions)

    @field_validator("series")
    @classmethod
    def _names_contain_series(cls, series: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        names = info.data.get("names")
        if series and names is not None and not name_template(names).has_series:
            raise PydanticCustomError("series_unnamed", "{series} in `names`, in the place of the series' name")
        if len(set(series)) < len(series):
            raise PydanticCustomError("series_twice", "each series once")
        return series

    @model_validator(mode="after")
    def _time_is_known(self) -> Self:
        if self.time_from == "name" and not self._time_is_known_otherwise and not self.template.says_when:
            raise PydanticCustomError(
                "names_without_date",
                "`names` with a date such as %Y%m%d, or also `time_from: modified`: the time of writing is that of the "
                "data only if old backups are never copied",
            )
        return self

    @property
    def _time_is_known_otherwise(self) -> bool:
        return False
