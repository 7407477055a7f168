"""Backups in buckets and folders, by a listing."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Any
from zoneinfo import ZoneInfo

from opscheck import Findings, Observe
from opscheck.core.findings import judge_all
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.units import ByteSize, Duration, Percentage, Severity, format_bytes
from opscheck.systems.backup.objects import ARCHIVED, DELETED, FAILED, SMALL, UNFINISHED, BackupObjects
from opscheck.systems.backup.series import Backup, Series, Suggestion, list_backups, moment_text, rerun
from opscheck.systems.stores.bucket import ARCHIVES
from opscheck.systems.stores.content import ManifestValue
from opscheck.systems.stores.listing import StoredBackup
from opscheck.systems.stores.target import FolderTarget

LEAST_COMPARED = 3
"""With fewer earlier backups the size is not judged."""

# The size of an empty stream; gzip may store the name of its input too.
_EMPTY = {".gz": 20, ".tgz": 20, ".zst": 13, ".xz": 32, ".bz2": 14, ".lz4": 15}
_MILLISECONDS = 1e11  # seconds since 1970 are fewer for 3,000 years
_SHOWN = 3


def test_there_is_a_backup_that_is_young_and_large_enough(
    expectation: BackupObjects, observe: Observe, findings: Findings
) -> None:
    """
    The newest backup is recent, large enough, and not the only one.

    A successful job may have written an empty or old dump, or to another place. That is noticed only when a restore is
    needed.
    """
    judge_series = partial(_judge_series, expectation, observe, findings)
    judge_all(
        partial(expectation.judge_each, observe, judge_series),
        partial(_judge_uploads, expectation, observe, findings),
    )


def _judge_series(expectation: BackupObjects, observe: Observe, findings: Findings, series: Series) -> None:
    manifests = {key: observe(query) for key, query in expectation.manifests(series).items()}
    found = dated(expectation, series, manifests, observe.now)
    case = _Case(expectation, series, found, observe.now, findings)
    case.judge_deletion()
    case.judge_times()
    if found.newest is not None:
        case.judge_newest(found.newest)
    elif not series.backups:
        expected = f"a backup that is named {series.template}"
        case.on(series.template).add(observed=series.found_instead, expected=expected, **case.failed)


@dataclass(frozen=True)
class Dated:
    """
    The backups of a series by the time of their data, newest first, and the faults of those times.

    Backups without a read manifest come last: their age is unknown.
    """

    backups: tuple[Backup, ...]
    newest: Backup | None = None
    """The newest one that is not in the future."""
    future: tuple[Backup, ...] = ()
    """Those with a time after now."""
    undated: tuple[tuple[Backup, str], ...] = ()
    """Those without a time in their manifest, each with the reason."""


def dated(expectation: BackupObjects, series: Series, manifests: Mapping[str, ManifestValue], now: datetime) -> Dated:
    """Sort them by the times in their names, or in the manifests that were read."""
    timed: list[Backup] = []
    undated: list[tuple[Backup, str]] = []
    for backup in series.backups:
        value = manifests.get(backup.key)
        at = _moment(value.value, ZoneInfo(expectation.time_zone)) if value is not None and value.there else None
        if value is None or at is not None:
            timed.append(replace(backup, at=at or backup.at))
        else:
            undated.append((backup, _why_undated(value)))
    ordered = sorted(timed, key=attrgetter("at"), reverse=True)
    latest = now + timedelta(seconds=expectation.clock_slack)
    past = [one for one in ordered if one.at <= latest]
    unread = [one for one in past if expectation.manifest is not None and one.key not in manifests]
    known = [one for one in past if one.key in manifests] if unread else past
    return Dated(
        backups=(*known, *unread),
        newest=known[0] if known else None,
        future=tuple(one for one in ordered if one.at > latest),
        undated=tuple(undated),
    )


def _why_undated(value: ManifestValue) -> str:
    if not value.there:
        return "has no manifest next to it"
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


@dataclass(frozen=True)
class _Case:
    """A series and its backups by time."""

    expectation: BackupObjects
    series: Series
    found: Dated
    now: datetime
    findings: Findings

    @property
    def listed(self) -> dict[str, Any]:
        """The suggestion to list the backups of the series."""
        return vars(list_backups(self.expectation.target, self.series.prefix))

    @property
    def failed(self) -> dict[str, Any]:
        """The suggestion when no backup was made."""
        listed = list_backups(self.expectation.target, self.series.prefix)
        return vars(Suggestion((FAILED,)) + rerun(self.expectation.cronjob) + listed)

    @property
    def doubtful(self) -> Severity | None:
        """The severity of an implausible time: that of a missing backup, when no other one has a time."""
        return self.expectation.mild_severity if self.found.newest else None

    def on(self, key: str) -> Findings:
        """Findings about one backup, or about all with a template."""
        return self.findings.on(self.expectation.target.address_of(key))

    def judge_deletion(self) -> None:
        marker = deleted_on_top(self.series) if self.series.backups else None
        if marker is not None:
            self.on(marker.key).add(
                observed=f"deleted, {moment_text(marker.modified)}; its earlier versions are there",
                expected="the newest backup is not deleted",
                since=marker.modified,
                remedies=[DELETED],
                facts={"key": marker.key},
            )

    def judge_times(self) -> None:
        for backup, why in self.found.undated:
            expected = "a manifest that says when its data was read"
            self.on(backup.key).add(observed=why, expected=expected, severity=self.doubtful, **self.listed)
        if future := self.found.future:
            more = f"; {len(future) - 1} more are too" if len(future) > 1 else ""
            self.on(future[0].key).add(
                observed=f"{future[0].in_future(self.now)}{more}",
                expected=f"at most {self.expectation.clock_slack} ahead; compare `time_zone` and the clocks",
                severity=self.doubtful,
                evidence=_last_ones(future),
                **self.listed,
            )

    def judge_newest(self, newest: Backup) -> None:
        here = self.on(newest.key)
        self._judge_age(newest, here)
        self._judge_time_of_writing(newest, here)
        self._judge_storage_class(newest, here)
        self._judge_count()
        self._judge_size(newest, here)

    def _judge_age(self, newest: Backup, here: Findings) -> None:
        if (limit := self.expectation.age) is not None:
            here.grade(
                "age of the newest backup",
                Duration(max(0.0, (self.now - newest.at).total_seconds())),
                limit,
                detail=f"its data is of {moment_text(newest.at)}",
                since=newest.at + timedelta(seconds=limit.steps[0][1]),
                evidence=_last_ones(self.found.backups),
                **self.failed,
            )

    def _judge_time_of_writing(self, newest: Backup, here: Findings) -> None:
        if why := _misdated(self.expectation, newest):
            before, after = self.expectation.clock_slack, self.expectation.upload_within
            here.add(
                observed=f"written last {moment_text(newest.stored.modified)}, {why}",
                expected=f"from {before} before to {after} after {moment_text(newest.at)}",
                severity=self.expectation.mild_severity,
                **self.listed,
            )

    def _judge_storage_class(self, newest: Backup, here: Findings) -> None:
        if newest.stored.storage_class in ARCHIVES and not self.expectation.archived:
            here.add(
                observed=f"in the storage class {newest.stored.storage_class}: it takes hours until it can be read",
                expected="the newest backup is at hand",
                severity=self.expectation.mild_severity,
                remedies=[ARCHIVED],
                facts={"key": newest.key},
            )

    def _judge_count(self) -> None:
        if self.expectation.count is None:
            return
        counted = kept(self.expectation, self.found.backups, self.now)
        kept_for = self.expectation.kept_for
        self.on(self.series.template).grade(
            "backups" if kept_for is None else f"backups of the last {kept_for}",
            len(counted),
            self.expectation.count,
            detail=f"from {moment_text(counted[-1].at)} on" if counted else "",
            evidence=_last_ones(self.found.backups),
            **self.listed,
        )

    def _judge_size(self, newest: Backup, here: Findings) -> None:
        size, small = ByteSize(newest.stored.size), self._small(newest.key)
        last_ones = _last_ones(self.found.backups)
        if is_empty(newest.stored):
            here.measure("size of the newest backup", size)
            here.add(
                observed=f"{size}: no larger than a file with nothing in it",
                expected=f"more than {format_bytes(empty_size(newest.key))}",
                evidence=last_ones,
                **vars(Suggestion((FAILED,)) + rerun(self.expectation.cronjob) + small),
            )
            return
        here.grade("size of the newest backup", size, self.expectation.size_floor, **vars(small))
        if (limit := self.expectation.size_share) is not None:
            found = compared(self.expectation, self.found.backups)
            if found is None:
                raise CouldNotObserve(self.series.query, _too_few(self.expectation, self.found))
            share, detail = found
            here.grade("size compared with the median", share, limit, detail=detail, evidence=last_ones, **vars(small))

    def _small(self, key: str) -> Suggestion:
        """The suggestion to read a backup that is too small, and to list those next to it."""
        target = self.expectation.target
        listed = list_backups(target, key[: key[:-1].rfind("/") + 1])
        if isinstance(target, FolderTarget):
            return listed
        return listed + Suggestion((SMALL,), {"url": target.address_of(key)})


def deleted_on_top(series: Series) -> StoredBackup | None:
    """
    The delete marker of the key that was written last, if it is deleted.

    Rotation leaves markers of older keys in a bucket with versions.
    """
    mine = {one.key for one in series.backups} | {one.key for one in series.markers}
    times = {one.key: one.at for one in reversed(series.backups)}
    tops = [next(versions) for key, versions in groupby(series.listing.backups, key=attrgetter("key")) if key in mine]
    newest = max(tops, key=lambda one: times.get(one.key, one.modified), default=None)
    return newest if newest is not None and newest.deleted else None


def _misdated(expectation: BackupObjects, backup: Backup) -> str:
    """The contradiction between its own time and its last write; empty without one."""
    late_s = (backup.stored.modified - backup.at).total_seconds()
    if late_s < -expectation.clock_slack:
        return "before it was begun, by its own time; is `time_zone` that of the names?"
    if late_s > expectation.upload_within:
        return "long after it was begun, by its own time; check for a copied old backup, and `time_zone`"
    return ""


def is_empty(stored: StoredBackup) -> bool:
    """True when it is not larger than an empty compressed file."""
    return stored.size <= empty_size(stored.key)


def empty_size(key: str) -> int:
    """The size of an empty object with that name."""
    name = key.rpartition("/")[2]
    suffix = name[name.rfind(".") :] if "." in name else ""
    stored_name = len(name) - len(suffix) + 1 if suffix == ".gz" else 0
    return _EMPTY.get(suffix, 0) + stored_name


def compared(expectation: BackupObjects, backups: Sequence[Backup]) -> tuple[Percentage, str] | None:
    """The newest's size as a share of the median of those before it; None with too few of them."""
    before = [one.stored.size for one in backups[1:] if not is_empty(one.stored)][: expectation.compared_with]
    if len(before) < min(LEAST_COMPARED, expectation.compared_with):
        return None
    usual = statistics.median(before)
    size = backups[0].stored.size
    return Percentage(100 * size / usual), f"{format_bytes(size)} of {format_bytes(usual)}, as {len(before)} before it"


def _too_few(expectation: BackupObjects, found: Dated) -> Problem:
    there, key = len(found.backups) - 1, found.backups[0].key
    return Problem(
        kind=ProblemKind.FIRST_SAMPLE,
        text=f"first samples: {there} backups before {key} to compare its size with",
        advice=f"it is judged from {min(LEAST_COMPARED, expectation.compared_with)} on that are not empty",
    )


def kept(expectation: BackupObjects, backups: Sequence[Backup], now: datetime) -> list[Backup]:
    """Those that count: within `kept_for`, and not empty."""
    kept_for = expectation.kept_for
    since = now - timedelta(seconds=kept_for) if kept_for is not None else None
    return [one for one in backups if not is_empty(one.stored) and (since is None or one.at >= since)]


def _last_ones(backups: Sequence[Backup]) -> list[str]:
    return [f"{one.key}: {format_bytes(one.stored.size)}, of {moment_text(one.at)}" for one in backups[:_SHOWN]]


def _judge_uploads(expectation: BackupObjects, observe: Observe, findings: Findings) -> None:
    if expectation.unfinished_uploads is None:
        return
    found = observe(expectation.uploads)
    subject = expectation.target.address_of(expectation.template.prefix)
    findings.measure("unfinished uploads", found.count, subject=subject)
    if found.oldest:
        oldest = found.oldest[0]
        findings.grade(
            "age of the oldest unfinished upload",
            Duration(max(0.0, (observe.now - oldest.started).total_seconds())),
            expectation.unfinished_uploads,
            subject=expectation.target.address_of(oldest.key),
            detail=f"{found.count} in all",
            since=oldest.started,
            remedies=(UNFINISHED,),
            facts={"key": oldest.key, "upload_id": oldest.upload},
        )
