"""Which of the objects in a store are whose backups, newest first, by the time of their data."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from opscheck.queries.stores.listing import ListBackups, Listing, StoredBackup
from opscheck.queries.stores.names import name_template

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
    def template(self) -> str:
        """How its backups are named, as a policy writes it."""
        return self.query.template if not self.name else self.query.template.replace("{series}", self.name)


@dataclass(frozen=True)
class Reading:
    """How to read what a store lists."""

    zone: tzinfo
    """That of times in names that tell none."""
    by_name: bool
    """Whether the time of the data is that in the name; else when it was written last."""


def series_in(
    listings: Iterable[tuple[str, ListBackups]], expected: Iterable[str], reading: Reading, answer: Answer
) -> list[Series]:
    """
    What there is of each series, sorted by name: those that are expected, also where nothing is there of them.

    listings: the questions, each with the series that it is about; empty for one about all of them.
    """
    found: dict[str, Series] = {}
    for name, query in listings:
        for one in _split(name, query, answer(query), set(expected), reading):
            found[one.name] = one
    return [found[name] for name in sorted(found)]


def _split(name: str, query: ListBackups, listing: Listing, expected: set[str], reading: Reading) -> Iterator[Series]:
    backups: dict[str, list[Backup]] = {one: [] for one in ({name} if name else expected)}
    markers: dict[str, list[StoredBackup]] = {}
    for stored in listing.backups:
        named = name_template(query.template).read(stored.key)
        if named is None:
            continue
        series = name or named.series
        if stored.deleted:
            markers.setdefault(series, []).append(stored)
        else:
            at = named.in_zone(reading.zone) if reading.by_name else None
            backups.setdefault(series, []).append(Backup(stored, at or stored.modified))
    for series in {**backups, **markers} or {"": None}:
        ordered = sorted(backups.get(series, ()), key=lambda one: (one.at, one.stored.modified, one.key), reverse=True)
        if not expected or series in expected:
            yield Series(series, query, listing, tuple(ordered), tuple(markers.get(series, ())))
