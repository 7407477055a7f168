"""What was found in a backup, in the words of a report."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from zoneinfo import ZoneInfo

from opscheck.core.units import format_bytes
from opscheck.systems.backup.expectations.buckets import named
from opscheck.systems.backup.expectations.content import BackupContent
from opscheck.systems.backup.expectations.content_remedies import packed, packed_again
from opscheck.systems.backup.expectations.series import Backup, Series
from opscheck.systems.backup.readings.stores import address_of
from opscheck.systems.kubernetes.batch import rerun_facts
from opscheck.systems.stores.content import EMPTY, TOO_LARGE, Content, Flaw
from opscheck.systems.stores.names import name_template
from opscheck.systems.stores.sidecar_files import Checksum, ManifestValue
from opscheck.systems.stores.target import FolderTarget

_HOLDS = {"dump": "a whole PostgreSQL dump", "tar": "a whole tar", "any": "whole, and not empty"}
CLOCKS = timedelta(minutes=15)
"""How far in the future a time may be, for clocks differ."""

_HEX = frozenset("0123456789abcdef")
_SHA256_LETTERS = 64


def observed(content: Content, flaw: Flaw) -> str:
    """What is wrong, and where it was noticed."""
    size = format_bytes(content.size)
    if flaw.trouble == EMPTY:
        packed = f" of {content.packed_with[0]}" if content.packed_with else ""
        return f"{flaw.text}: {size}{packed}"
    if flaw.at is None:
        return flaw.text
    return (
        f"{flaw.text}, after all {size}"
        if flaw.at >= content.size
        else f"{flaw.text}, after {format_bytes(flaw.at)} of {size}"
    )


def expected(expectation: BackupContent, flaw: Flaw) -> str:
    """What should be there instead."""
    if flaw.trouble == TOO_LARGE and expectation.unpacked_limit is not None:
        return f"at most {expectation.unpacked_limit}"
    return _HOLDS[expectation.holds]


def what_it_is(content: Content) -> Iterator[str]:
    """What is known of a backup, as evidence."""
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


def recorded_sum(record: Checksum | ManifestValue) -> str:
    """The sha256 that is recorded; empty where none is."""
    if not record.there:
        return ""
    value = record.sha256 if isinstance(record, Checksum) else record.value
    text = value.removeprefix("sha256:").strip().lower() if isinstance(value, str) else ""
    return text if len(text) == _SHA256_LETTERS and _HEX.issuperset(text) else ""


def without_record(record: Checksum | ManifestValue, key: str) -> str:
    """What is wrong where no checksum is recorded."""
    return f"no checksum: there is no {key}" if not record.there else f"no checksum of it in {key}"


def broken_facts(expectation: BackupContent, backup: Backup, content: Content) -> dict[str, str]:
    """What commands name of a backup that is not whole."""
    packer = _packer(expectation, content)
    if packer:
        return _place(expectation, backup, packed(packer))
    is_archive = content.format in {"custom", "tar"} and not content.packed_with
    return _place(expectation, backup, "archive") if is_archive else {}


def differing_facts(expectation: BackupContent, backup: Backup) -> dict[str, str]:
    """What commands name of a backup whose checksum differs."""
    return _place(expectation, backup, "differing")


def again_facts(
    expectation: BackupContent, series: Series, backup: Backup, content: Content, now: datetime
) -> dict[str, str]:
    """What commands name that make a new one."""
    if expectation.cronjob is not None:
        return job_facts(expectation)
    if expectation.holds != "dump" or expectation.template.is_folder:
        return {}
    key = new_key(expectation, series, now) or backup.key
    place, name = address_of(expectation.target, key), PurePosixPath(key).name
    file = place if isinstance(expectation.target, FolderTarget) else name
    facts = named(expectation.target, {"new_file": name, "published": place})
    database = content.header.database if content.header is not None else ""
    if packer := _packer(expectation, content):
        return facts | {packed_again(packer): file}
    return facts | ({"database": database, "new_dump": file} if database else {"dump_again": file})


def missing_facts(expectation: BackupContent, series: Series) -> dict[str, str]:
    """What commands name where there is no backup at all."""
    return place_facts(expectation, series) | job_facts(expectation)


def place_facts(expectation: BackupContent, series: Series) -> dict[str, str]:
    """Where backups are, to be looked at."""
    place = address_of(expectation.target, name_template(series.template).prefix.rpartition("/")[0])
    where = {"folder": place} if isinstance(expectation.target, FolderTarget) else {}
    return where | named(expectation.target, {"listed": f"{place.rstrip('/')}/"})


def job_facts(expectation: BackupContent) -> dict[str, str]:
    """The cron job that makes them, where the policy names it."""
    if expectation.cronjob is None:
        return {}
    namespace, _, name = expectation.cronjob.partition("/")
    return {"job_namespace": namespace} | rerun_facts(name)


def new_key(expectation: BackupContent, series: Series, now: datetime) -> str:
    """What a backup that is begun now would be called; empty where names do not say."""
    template = expectation.template.of_series(series.name) if series.name else expectation.template
    if any(letter in template.text for letter in "*?{") or not template.says_when:
        return ""
    return now.astimezone(ZoneInfo(expectation.time_zone)).strftime(template.text)


def _packer(expectation: BackupContent, content: Content) -> str:
    """The program that has packed it, or should have; empty where none has, or its name says another one."""
    should = next(iter(expectation.packers)) if len(expectation.packers) == 1 else ""
    found = content.packed_with[0] if content.packed_with else should
    return found if found in expectation.packers else ""


def _place(expectation: BackupContent, backup: Backup, name: str) -> dict[str, str]:
    place = address_of(expectation.target, backup.key)
    if isinstance(expectation.target, FolderTarget):
        return {f"{name}_file": place}
    return named(expectation.target, {name: place})
