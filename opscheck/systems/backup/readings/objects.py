"""What a listing tells of the backups of one series."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import groupby
from operator import attrgetter
from zoneinfo import ZoneInfo

from opscheck.core.observation import Problem, ProblemKind
from opscheck.core.units import Percentage, format_bytes, format_duration
from opscheck.systems.backup.expectations.objects import BackupObjects
from opscheck.systems.backup.expectations.series import Backup, Series
from opscheck.systems.stores.listing import StoredBackup
from opscheck.systems.stores.sidecar_files import ManifestValue

ARCHIVES = {"GLACIER", "DEEP_ARCHIVE", "Archive", "ColdArchive", "DeepColdArchive"}
"""Storage classes whose objects must be restored before they can be read, of AWS and of Alibaba."""

LEAST_COMPARED = 3
"""With fewer earlier ones nothing is said of the size."""

# What an empty stream takes; gzip may store the name of what it has packed besides.
_EMPTY = {".gz": 20, ".tgz": 20, ".zst": 13, ".xz": 32, ".bz2": 14, ".lz4": 15}
_MILLISECONDS = 1e11  # seconds since 1970 are fewer for 3,000 years
_SHOWN = 3


@dataclass(frozen=True)
class Dated:
    """
    The backups of a series by when their data was read, newest first, and what is wrong with those times.

    Those whose manifest was not read come last: nobody knows how old they are.
    """

    backups: tuple[Backup, ...]
    newest: Backup | None = None
    """The newest that is not in the future."""
    future: tuple[Backup, ...] = ()
    """Those that say that they were begun after now."""
    untold: tuple[tuple[Backup, str], ...] = ()
    """Those whose manifest does not say when, each with the reason."""


def dated(expectation: BackupObjects, series: Series, manifests: Mapping[str, ManifestValue], now: datetime) -> Dated:
    """Which of them is the newest, by names or by the manifests that were read."""
    told, untold = _by_manifests(series.backups, manifests, ZoneInfo(expectation.time_zone))
    ordered = sorted(told, key=attrgetter("at"), reverse=True)
    latest = now + timedelta(seconds=expectation.clock_slack)
    been = [one for one in ordered if one.at <= latest]
    unread = [one for one in been if expectation.manifest is not None and one.key not in manifests]
    known = [one for one in been if one.key in manifests] if unread else been
    return Dated(
        backups=(*known, *unread),
        newest=known[0] if known else None,
        future=tuple(one for one in ordered if one.at > latest),
        untold=tuple(untold),
    )


def _by_manifests(
    backups: Sequence[Backup], manifests: Mapping[str, ManifestValue], zone: tzinfo
) -> tuple[list[Backup], list[tuple[Backup, str]]]:
    """Them by what manifests tell, and those of which they tell nothing, each with the reason."""
    told, untold = [], []
    for backup in backups:
        value = manifests.get(backup.key)
        at = _moment(value.value, zone) if value is not None and value.there else None
        if value is not None and at is None:
            untold.append((backup, _why_untold(value)))
        else:
            told.append(backup if at is None else replace(backup, at=at))
    return told, untold


def _why_untold(value: ManifestValue) -> str:
    if not value.there:
        return "has no manifest beside it"
    return "has a manifest without that time" if value.value is None else "has a manifest whose time is none"


def _moment(value: str | float | None, zone: tzinfo) -> datetime | None:
    try:
        if isinstance(value, str):
            at = datetime.fromisoformat(value.strip())
            return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
        if value is None or isinstance(value, bool):
            return None
        return datetime.fromtimestamp(value / 1000 if value > _MILLISECONDS else value, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def begun_ahead(backup: Backup, now: datetime) -> str:
    """How far in the future it was begun, in words."""
    ahead = format_duration((backup.at - now).total_seconds())
    return f"begun in the future: {told(backup.at)}, {ahead} ahead"


def misdated(expectation: BackupObjects, backup: Backup) -> str:
    """How its own time and that when it was written last disagree; empty where they do not, or are the same."""
    late_s = (backup.stored.modified - backup.at).total_seconds()
    if late_s < -expectation.clock_slack:
        return "before it was begun, by its own time; is `time_zone` that of the names?"
    if late_s > expectation.upload_within:
        return "long after it was begun, by its own time; was an old one copied anew, or is `time_zone` another?"
    return ""


def is_empty(stored: StoredBackup) -> bool:
    """Whether there is nothing in it, or no more than a compressed stream of nothing."""
    return stored.size <= empty_size(stored.key)


def empty_size(key: str) -> int:
    """How large an object of that name is with nothing in it."""
    name = key.rpartition("/")[2]
    suffix = name[name.rfind(".") :] if "." in name else ""
    stored_name = len(name) - len(suffix) + 1 if suffix == ".gz" else 0
    return _EMPTY.get(suffix, 0) + stored_name


def compared(expectation: BackupObjects, backups: Sequence[Backup]) -> tuple[Percentage, str] | None:
    """The newest's size as a share of the median of those before it; None where there are too few of them."""
    before = [one.stored.size for one in backups[1:] if not is_empty(one.stored)][: expectation.compared_with]
    if len(before) < min(LEAST_COMPARED, expectation.compared_with):
        return None
    usual = statistics.median(before)
    size = backups[0].stored.size
    return Percentage(100 * size / usual), f"{format_bytes(size)} of {format_bytes(usual)}, as {len(before)} before it"


def too_few(expectation: BackupObjects, found: Dated) -> Problem:
    """Why nothing is said of the size yet."""
    there, key = len(found.backups) - 1, found.backups[0].key
    return Problem(
        kind=ProblemKind.FIRST_SAMPLE,
        text=f"first samples: {there} backups before {key} to compare its size with",
        advice=f"it is judged from {min(LEAST_COMPARED, expectation.compared_with)} on that are not empty",
    )


def kept(expectation: BackupObjects, backups: Sequence[Backup], now: datetime) -> list[Backup]:
    """Those that count: young enough for `kept_for`, and not empty."""
    kept_for = expectation.kept_for
    since = now - timedelta(seconds=kept_for) if kept_for is not None else None
    return [one for one in backups if not is_empty(one.stored) and (since is None or one.at >= since)]


def deleted_on_top(series: Series) -> StoredBackup | None:
    """
    The delete marker of the key that was written last, where somebody has deleted what is there.

    Those of older keys are what rotation leaves in a bucket with versions.
    """
    mine = {one.key for one in series.backups} | {one.key for one in series.markers}
    times = {one.key: one.at for one in reversed(series.backups)}
    tops = [next(versions) for key, versions in groupby(series.listing.backups, key=attrgetter("key")) if key in mine]
    newest = max(tops, key=lambda one: times.get(one.key, one.modified), default=None)
    return newest if newest is not None and newest.deleted else None


def seen_instead(series: Series) -> str:
    """What there is where no backup is."""
    listing, where = series.listing, series.prefix or "the store's root"
    if series.markers:
        return f"all that were there are deleted, {series.markers[0].key} among them"
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


def last_ones(backups: Sequence[Backup]) -> list[str]:
    """The newest few, for people."""
    return [f"{one.key}: {format_bytes(one.stored.size)}, of {told(one.at)}" for one in backups[:_SHOWN]]


def told(moment: datetime) -> str:
    """A moment as people read it."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
