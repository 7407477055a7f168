"""Backups in buckets and folders, by what a listing tells."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from opscheck import Findings, Observe
from opscheck.core.isolation import judge_all
from opscheck.core.observation import CouldNotObserve
from opscheck.core.units import ByteSize, Duration, GradedMinimum, Percentage, Severity, format_bytes
from opscheck.systems.backup.expectations.objects import BackupObjects
from opscheck.systems.backup.expectations.series import Backup, Series
from opscheck.systems.backup.readings.object_facts import (
    archive_facts,
    deletion_facts,
    place_facts,
    rerun_facts,
    small_facts,
    upload_facts,
)
from opscheck.systems.backup.readings.objects import (
    ARCHIVES,
    Dated,
    begun_ahead,
    compared,
    dated,
    deleted_on_top,
    empty_size,
    is_empty,
    kept,
    last_ones,
    misdated,
    seen_instead,
    told,
    too_few,
)
from opscheck.systems.backup.readings.stores import address_of
from opscheck.systems.stores.listing import ListBackups


def test_there_is_a_backup_that_is_young_and_large_enough(
    expectation: BackupObjects, observe: Observe, findings: Findings
) -> None:
    """
    The newest backup is younger than what may be lost, as large as the ones before, and not the only one.

    A backup job that ends well may have written nothing, an old dump anew, or to another place; nobody notices before
    the day on which it is needed.
    """

    def judge_listing(name: str, query: ListBackups) -> None:
        found = expectation.series_in(name, query, observe)
        judge_all(*(partial(_judge_series, expectation, series, observe, findings) for series in found))

    listings = [partial(judge_listing, name, query) for name, query in expectation.listings()]
    judge_all(*listings, partial(_judge_uploads, expectation, observe, findings))


def _judge_series(expectation: BackupObjects, series: Series, observe: Observe, findings: Findings) -> None:
    manifests = {key: observe(query) for key, query in expectation.manifests(series).items()}
    found = dated(expectation, series, manifests, observe.now)
    case = _Case(expectation, series, found, observe.now, findings)
    case.judge_deletion()
    case.judge_times()
    if found.newest is not None:
        case.judge_newest(found.newest)
    elif not series.backups:
        findings.add(
            subject=address_of(expectation.target, series.template),
            observed=seen_instead(series),
            expected=f"a backup that is named {series.template}",
            facts=case.places | rerun_facts(expectation),
        )


@dataclass(frozen=True)
class _Case:
    """A series and what is known of it."""

    expectation: BackupObjects
    series: Series
    found: Dated
    now: datetime
    findings: Findings

    @property
    def places(self) -> dict[str, str]:
        return place_facts(self.expectation, self.series.prefix)

    @property
    def doubtful(self) -> Severity | None:
        """How bad a time is that cannot be trusted: as bad as having none, where no other backup has one."""
        return self.expectation.mild_severity if self.found.newest else None

    def subject(self, key: str) -> str:
        return address_of(self.expectation.target, key)

    def judge_deletion(self) -> None:
        marker = deleted_on_top(self.series) if self.series.backups else None
        if marker is not None:
            self.findings.add(
                subject=self.subject(marker.key),
                observed=f"deleted, {told(marker.modified)}; its earlier versions are there",
                expected="the newest backup is not deleted",
                since=marker.modified,
                facts=deletion_facts(self.expectation, marker.key),
            )

    def judge_times(self) -> None:
        for backup, why in self.found.untold:
            self.findings.add(
                subject=self.subject(backup.key),
                observed=why,
                expected="a manifest that says when its data was read",
                severity=self.doubtful,
                facts=self.places,
            )
        if self.found.future:
            self._tell_future(self.found.future)

    def _tell_future(self, future: tuple[Backup, ...]) -> None:
        more = f"; {len(future) - 1} more are too" if len(future) > 1 else ""
        self.findings.add(
            subject=self.subject(future[0].key),
            observed=f"{begun_ahead(future[0], self.now)}{more}",
            expected=f"at most {self.expectation.clock_slack} ahead; compare `time_zone` and the clocks",
            severity=self.doubtful,
            evidence=last_ones(future),
            facts=self.places,
        )

    def judge_newest(self, newest: Backup) -> None:
        self._judge_age(newest)
        self._judge_time_of_writing(newest)
        self._judge_at_hand(newest)
        self._judge_count()
        self._judge_size(newest)

    def _judge_age(self, newest: Backup) -> None:
        limit = self.expectation.age
        if limit is None:
            return
        self.findings.grade(
            "age of the newest backup",
            Duration(max(0.0, (self.now - newest.at).total_seconds())),
            limit,
            subject=self.subject(newest.key),
            detail=f"its data is of {told(newest.at)}",
            since=newest.at + timedelta(seconds=limit.steps[0][1]),
            evidence=last_ones(self.found.backups),
            facts=self.places | rerun_facts(self.expectation),
        )

    def _judge_time_of_writing(self, newest: Backup) -> None:
        if why := misdated(self.expectation, newest):
            before, after = self.expectation.clock_slack, self.expectation.upload_within
            self.findings.add(
                subject=self.subject(newest.key),
                observed=f"written last {told(newest.stored.modified)}, {why}",
                expected=f"from {before} before to {after} after {told(newest.at)}",
                severity=self.expectation.mild_severity,
                facts=self.places,
            )

    def _judge_at_hand(self, newest: Backup) -> None:
        if newest.stored.storage_class in ARCHIVES and not self.expectation.archived:
            self.findings.add(
                subject=self.subject(newest.key),
                observed=f"in the storage class {newest.stored.storage_class}: it takes hours until it can be read",
                expected="the newest backup is at hand",
                severity=self.expectation.mild_severity,
                facts=archive_facts(self.expectation, newest.key),
            )

    def _judge_count(self) -> None:
        if self.expectation.count is None:
            return
        counted = kept(self.expectation, self.found.backups, self.now)
        kept_for = self.expectation.kept_for
        self.findings.grade(
            "backups" if kept_for is None else f"backups of the last {kept_for}",
            len(counted),
            self.expectation.count,
            subject=self.subject(self.series.template),
            detail=f"from {told(counted[-1].at)} on" if counted else "",
            evidence=last_ones(self.found.backups),
            facts=self.places,
        )

    def _judge_size(self, newest: Backup) -> None:
        size, subject = ByteSize(newest.stored.size), self.subject(newest.key)
        facts = small_facts(self.expectation, newest.key)
        if is_empty(newest.stored):
            self.findings.measure("size of the newest backup", size, subject=subject)
            self.findings.add(
                subject=subject,
                observed=f"{size}: no larger than a file with nothing in it",
                expected=f"more than {format_bytes(empty_size(newest.key))}",
                evidence=last_ones(self.found.backups),
                facts=facts | rerun_facts(self.expectation),
            )
            return
        floor = self.expectation.size_floor
        self.findings.grade("size of the newest backup", size, floor, subject=subject, facts=facts)
        if self.expectation.size_share is not None:
            self._judge_share(self.expectation.size_share, subject, facts)

    def _judge_share(self, limit: GradedMinimum[Percentage], subject: str, facts: dict[str, str]) -> None:
        found = compared(self.expectation, self.found.backups)
        if found is None:
            raise CouldNotObserve(self.series.query, too_few(self.expectation, self.found))
        share, detail = found
        self.findings.grade(
            "size beside the median",
            share,
            limit,
            subject=subject,
            detail=detail,
            evidence=last_ones(self.found.backups),
            facts=facts,
        )


def _judge_uploads(expectation: BackupObjects, observe: Observe, findings: Findings) -> None:
    if expectation.unfinished_uploads is None:
        return
    found = observe(expectation.uploads)
    subject = address_of(expectation.target, expectation.template.prefix)
    findings.measure("unfinished uploads", found.count, subject=subject)
    if found.oldest:
        oldest = found.oldest[0]
        findings.grade(
            "age of the oldest unfinished upload",
            Duration(max(0.0, (observe.now - oldest.started).total_seconds())),
            expectation.unfinished_uploads,
            subject=address_of(expectation.target, oldest.key),
            detail=f"{found.count} in all",
            since=oldest.started,
            facts=upload_facts(expectation, oldest),
        )
