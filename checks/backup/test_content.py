"""Backups in buckets and folders, by what is in them."""

from functools import partial
from typing import Any

from opscheck import Findings, Observe
from opscheck.core.isolation import judge_all
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.query import Query
from opscheck.core.units import ByteSize, Percentage
from opscheck.systems.backup.expectations.content import BackupContent
from opscheck.systems.backup.expectations.series import Backup, Series
from opscheck.systems.backup.readings.content import (
    CLOCKS,
    again_facts,
    broken_facts,
    differing_facts,
    expected,
    missing_facts,
    observed,
    place_facts,
    recorded_sum,
    what_it_is,
    without_record,
)
from opscheck.systems.backup.readings.objects import begun_ahead, seen_instead
from opscheck.systems.backup.readings.stores import address_of
from opscheck.systems.stores.content import Content
from opscheck.systems.stores.listing import ListBackups
from opscheck.systems.stores.sidecar_files import Checksum, ManifestValue


def test_the_newest_backup_is_whole(expectation: BackupContent, observe: Observe, findings: Findings) -> None:
    """
    The newest backup can be read: it is what it should be, not empty, not cut off, not damaged.

    A dump that failed is packed and uploaded as if it were one, and an upload that was cut off has a name and a size
    too; without being read they are found out on the day on which they are needed.
    """

    def judge_listing(name: str, query: ListBackups) -> None:
        found = expectation.series_in(name, query, observe)
        judge_all(*(partial(_judge_series, expectation, series, observe, findings) for series in found))

    judge_all(*(partial(judge_listing, name, query) for name, query in expectation.listings()))


def _judge_series(expectation: BackupContent, series: Series, observe: Observe, findings: Findings) -> None:
    newest = series.newest
    if newest is None:
        findings.add(
            subject=address_of(expectation.target, series.template),
            observed=seen_instead(series),
            expected=f"a backup that is named {series.template}",
            facts=missing_facts(expectation, series),
        )
        return
    if newest.at > observe.now + CLOCKS:
        findings.add(
            subject=address_of(expectation.target, newest.key),
            observed=begun_ahead(newest, observe.now),
            expected="a time that has been: those that were made since are not looked at",
            facts=place_facts(expectation, series),
        )
    judge_all(
        partial(_judge_content, expectation, series, newest, observe, findings),
        partial(_judge_checksum, expectation, series, newest, observe, findings),
    )


def _judge_content(
    expectation: BackupContent, series: Series, backup: Backup, observe: Observe, findings: Findings
) -> None:
    query = expectation.content(backup)
    content = observe(query)
    subject = address_of(expectation.target, backup.key)
    _measure(content, subject, findings)
    for flaw in content.flaws:
        findings.add(
            subject=subject,
            observed=observed(content, flaw),
            expected=expected(expectation, flaw),
            since=backup.at,
            evidence=what_it_is(content),
            facts=again_facts(expectation, series, backup, content, observe.now)
            | broken_facts(expectation, backup, content),
        )
    if content.unjudged:
        text = f"{backup.key}: {content.unjudged}"
        raise CouldNotObserve(query, Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=content.advice))


def _measure(content: Content, subject: str, findings: Findings) -> None:
    share = Percentage(min(100.0, 100 * content.read / content.size)) if content.size else Percentage(100.0)
    findings.measure("read", share, subject=subject)
    if content.unpacked is not None and content.packed_with:
        findings.measure("unpacked", ByteSize(content.unpacked), subject=subject)


def _judge_checksum(
    expectation: BackupContent, series: Series, backup: Backup, observe: Observe, findings: Findings
) -> None:
    query = expectation.record(backup.key)
    if query is None:
        return
    asked: Query[Any] = query
    record: Checksum | ManifestValue = observe(asked)
    content = observe(expectation.content(backup))
    recorded, subject = recorded_sum(record), address_of(expectation.target, backup.key)
    again = again_facts(expectation, series, backup, content, observe.now)
    if not recorded:
        findings.add(
            subject=subject,
            observed=without_record(record, query.key),
            expected="its sha256, as it was when it was made",
            facts=again,
        )
    elif recorded != content.sha256:
        findings.add(
            subject=subject,
            observed=f"sha256 {content.sha256}",
            expected=f"{recorded}, as {query.key} says",
            since=backup.at,
            evidence=what_it_is(content),
            facts=again | differing_facts(expectation, backup),
        )
