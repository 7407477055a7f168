"""Backups in buckets and folders, by their content."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import PurePosixPath
from typing import Any, cast
from zoneinfo import ZoneInfo

from opscheck import Findings, Observe
from opscheck.core.findings import judge_all
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.query import Query
from opscheck.core.remedy import Fact
from opscheck.core.units import ByteSize, Percentage, format_bytes
from opscheck.systems.backup.content import (
    BROKEN,
    BROKEN_ARCHIVE,
    BROKEN_ARCHIVE_FILE,
    BROKEN_PACKED,
    BROKEN_PACKED_FILE,
    DIFFERING,
    DIFFERING_FILE,
    DUMP,
    DUMP_DATABASE,
    DUMP_PACKED,
    PUBLISH,
    BackupContent,
)
from opscheck.systems.backup.series import Backup, Series, Suggestion, by_place, list_backups, rerun
from opscheck.systems.stores.content import EMPTY, TOO_LARGE, Checksum, Content, Flaw, ManifestValue
from opscheck.systems.stores.target import FolderTarget

_HOLDS = {"dump": "a whole PostgreSQL dump", "tar": "a whole tar", "any": "whole, and not empty"}
_CLOCKS = timedelta(minutes=15)
"""The tolerance for times in the future, since clocks differ."""

_HEX = frozenset("0123456789abcdef")
_SHA256_LETTERS = 64


def test_the_newest_backup_is_whole(expectation: BackupContent, observe: Observe, findings: Findings) -> None:
    """
    The newest backup is complete and readable.

    A failed dump can still be compressed and uploaded, and a truncated upload still has a name and a size. Without
    reading the backup, the fault is found on the day of the restore.
    """
    expectation.judge_each(observe, partial(_judge_series, expectation, observe, findings))


def _judge_series(expectation: BackupContent, observe: Observe, findings: Findings, series: Series) -> None:
    newest, target = series.newest, expectation.target
    listed = list_backups(target, series.prefix[: series.prefix.rfind("/") + 1])
    if newest is None:
        observed, expected = series.found_instead, f"a backup that is named {series.template}"
        suggestion = listed + rerun(expectation.cronjob)
        findings.on(target.address_of(series.template)).add(observed=observed, expected=expected, **vars(suggestion))
        return
    here = findings.on(target.address_of(newest.key))
    if newest.at > observe.now + _CLOCKS:
        expected = "a time that has been: those that were made since are not looked at"
        here.add(observed=newest.in_future(observe.now), expected=expected, **vars(listed))
    judge_all(
        partial(_judge_content, expectation, series, newest, observe, here),
        partial(_judge_checksum, expectation, series, newest, observe, here),
    )


def _judge_content(
    expectation: BackupContent, series: Series, backup: Backup, observe: Observe, here: Findings
) -> None:
    query = expectation.content(backup)
    content = observe(query)
    here.measure("read", Percentage(min(100.0, 100 * content.read / content.size) if content.size else 100.0))
    if content.unpacked is not None and content.packed_with:
        here.measure("unpacked", ByteSize(content.unpacked))
    suggestion = look_into(expectation, backup, content) + make_again(expectation, series, backup, content, observe.now)
    for flaw in content.flaws:
        here.add(
            observed=flaw_text(content, flaw),
            expected=expected_content(expectation, flaw),
            since=backup.at,
            evidence=origin(content),
            **vars(suggestion),
        )
    if content.unjudged:
        text = f"{backup.key}: {content.unjudged}"
        raise CouldNotObserve(query, Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=content.advice))


def flaw_text(content: Content, flaw: Flaw) -> str:
    size = format_bytes(content.size)
    if flaw.trouble == EMPTY:
        packed = f" of {content.packed_with[0]}" if content.packed_with else ""
        return f"{flaw.text}: {size}{packed}"
    if flaw.at is None:
        return flaw.text
    if flaw.at >= content.size:
        return f"{flaw.text}, after all {size}"
    return f"{flaw.text}, after {format_bytes(flaw.at)} of {size}"


def expected_content(expectation: BackupContent, flaw: Flaw) -> str:
    if flaw.trouble == TOO_LARGE and expectation.unpacked_limit is not None:
        return f"<= {expectation.unpacked_limit}"
    return _HOLDS[expectation.holds]


def origin(content: Content) -> Iterator[str]:
    """The format of a backup, its program, and its source."""
    packed = f", packed with {' in '.join(reversed(content.packed_with))}" if content.packed_with else ""
    if content.format:
        yield f"format: {content.format}{packed}"
    header = content.header
    if header is None:
        return
    if header.dumped_by or header.dumped_from:
        yield f"made by pg_dump {header.dumped_by} of a server {header.dumped_from}".rstrip()
    if header.database:
        yield f"of the database {header.database}"
    if header.made_at is not None:
        yield f"begun {header.made_at:%Y-%m-%d %H:%M:%S}, by the clock of where it was made"


def _judge_checksum(
    expectation: BackupContent, series: Series, backup: Backup, observe: Observe, here: Findings
) -> None:
    query = expectation.record(backup.key)
    if query is None:
        return
    record: Checksum | ManifestValue = observe(cast("Query[Any]", query))
    content = observe(expectation.content(backup))
    recorded = recorded_sum(record)
    again = make_again(expectation, series, backup, content, observe.now)
    if not recorded:
        missing = f"no checksum: there is no {query.key}" if not record.there else f"no checksum of it in {query.key}"
        here.add(observed=missing, expected="its sha256, as it was when it was made", **vars(again))
    elif recorded != content.sha256:
        compare = by_place(expectation.target, backup.key, in_bucket=DIFFERING, in_folder=DIFFERING_FILE)
        here.add(
            observed=f"sha256 {content.sha256}",
            expected=f"{recorded}, as {query.key} says",
            since=backup.at,
            evidence=origin(content),
            **vars(compare + again),
        )


def recorded_sum(record: Checksum | ManifestValue) -> str:
    """The recorded sha256; empty without one."""
    if not record.there:
        return ""
    value = record.sha256 if isinstance(record, Checksum) else record.value
    text = value.removeprefix("sha256:").strip().lower() if isinstance(value, str) else ""
    return text if len(text) == _SHA256_LETTERS and _HEX.issuperset(text) else ""


def look_into(expectation: BackupContent, backup: Backup, content: Content) -> Suggestion:
    """The suggestion to read a damaged backup."""
    packer = packer_of(expectation, content)
    if packer:
        in_bucket, in_folder = BROKEN_PACKED[packer], BROKEN_PACKED_FILE[packer]
    elif content.format in {"custom", "tar"} and not content.packed_with:
        in_bucket, in_folder = BROKEN_ARCHIVE, BROKEN_ARCHIVE_FILE
    else:
        return Suggestion((BROKEN,))
    return by_place(expectation.target, backup.key, in_bucket=in_bucket, in_folder=in_folder)


def make_again(
    expectation: BackupContent, series: Series, backup: Backup, content: Content, now: datetime
) -> Suggestion:
    """The suggestion to make a new backup."""
    if expectation.cronjob is not None:
        return rerun(expectation.cronjob)
    if expectation.holds != "dump" or expectation.template.is_folder:
        return Suggestion()
    key = new_key(expectation, series, now) or backup.key
    address = expectation.target.address_of(key)
    in_folder = isinstance(expectation.target, FolderTarget)
    facts: dict[str, Fact] = {"new_dump": address if in_folder else PurePosixPath(key).name}
    database = content.header.database if content.header is not None else ""
    if packer := packer_of(expectation, content):
        dump = DUMP_PACKED[packer]
    elif database:
        dump, facts["database"] = DUMP_DATABASE, database
    else:
        dump = DUMP
    return Suggestion((dump,), facts) + (Suggestion() if in_folder else Suggestion((PUBLISH,), {"published": address}))


def new_key(expectation: BackupContent, series: Series, now: datetime) -> str:
    """The key of a backup that begins now; empty when the template does not determine it."""
    template = expectation.template.of_series(series.name) if series.name else expectation.template
    if any(letter in template.text for letter in "*?{") or not template.says_when:
        return ""
    return now.astimezone(ZoneInfo(expectation.time_zone)).strftime(template.text)


def packer_of(expectation: BackupContent, content: Content) -> str:
    """The program that compressed it, or should have; empty without one, or when its name contradicts it."""
    should = next(iter(expectation.packers)) if len(expectation.packers) == 1 else ""
    found = content.packed_with[0] if content.packed_with else should
    return found if found in expectation.packers else ""
