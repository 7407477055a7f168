"""Which of the objects in a store are whose backups, newest first, by the time of their data."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo

from opscheck.systems.stores.listing import ListBackups, Listing, StoredBackup
from opscheck.systems.stores.names import name_template

_EXACT = timedelta(seconds=1)
_UPLOADED_WITHIN = timedelta(hours=6)

Answer = Callable[[ListBackups], Listing]
"""Gives the answer to a query, as `observe` does. Raises CouldNotObserve."""


@dataclass(frozen=True)
class Backup:
    """One backup, and when it was begun."""

    stored: StoredBackup
    at: datetime
    """When its data was read: the time in its name, or when it was written last where names do not say."""

    @property
    def key(self) -> str:
        """Its key in the store."""
        return self.stored.key


@dataclass(frozen=True)
class Series:
    """The backups of one thing, such as one database."""

    name: str
    """What {series} stands for; empty where names tell of no series."""
    query: ListBackups
    """What was asked to know of them."""
    listing: Listing
    backups: tuple[Backup, ...] = ()
    """Newest first, by the time of their data; delete markers are none of them."""
    markers: tuple[StoredBackup, ...] = field(default=())
    """Delete markers, where versions were asked for."""

    @property
    def newest(self) -> Backup | None:
        """The newest one, None where there is none."""
        return self.backups[0] if self.backups else None

    @property
    def prefix(self) -> str:
        """What the keys of its backups begin with."""
        return name_template(self.template).prefix

    @property
    def template(self) -> str:
        """How its backups are named, as a policy writes it."""
        return name_template(self.query.template).of_series(self.name).text if self.name else self.query.template


@dataclass(frozen=True)
class Reading:
    """How to read what a store lists."""

    zone: tzinfo
    """That of times in names that tell none."""
    by_name: bool
    """Whether the time of the data is that in the name; else when it was written last."""


def series_in(
    name: str, query: ListBackups, listing: Listing, expected: Iterable[str], reading: Reading
) -> list[Series]:
    """
    What a listing tells of each series, sorted by name: of those that are expected also where nothing is there.

    name: the one series that was asked about; empty where it was all of them.
    """
    wanted, template = {name} if name else set(expected), name_template(query.template)
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
            at = named.in_zone(reading.zone) if reading.by_name else None
            begun = stored.modified if at is None else _begun(at, template.resolution, stored.modified)
            backups.setdefault(series, []).append(Backup(stored, begun))
    return [
        Series(one, query, listing, _newest_first(backups.get(one, ())), tuple(markers.get(one, ())))
        for one in sorted({*backups, *markers} or {""})
        if not wanted or one in wanted
    ]


def _begun(local: datetime, resolution: timedelta, modified: datetime) -> datetime:
    """
    When it was begun, by a name that may tell the day alone.

    Then it was written last in that day, or soon after, and begun before that; one that was written much later was
    copied anew, and is as old as its name allows.
    """
    try:
        # Times of one zone are compared by their clocks, of which an hour comes twice.
        named = local.astimezone(UTC)
    except OverflowError:  # a name of the year 1, or 9999
        named = local.replace(tzinfo=UTC)
    if resolution > _EXACT and named <= modified <= named + resolution + _UPLOADED_WITHIN:
        return min(modified, named + resolution)
    return named


def _newest_first(backups: Iterable[Backup]) -> tuple[Backup, ...]:
    return tuple(sorted(backups, key=lambda one: (one.at, one.stored.modified, one.key), reverse=True))
