"""backup.content on real dumps in real stores."""

import hashlib
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from checks.backup.test_content import test_the_newest_backup_is_whole as the_check
from opscheck import Severity
from opscheck.core.findings import Findings
from opscheck.core.observation import CouldNotObserve, ProblemKind
from opscheck.systems.backup.content import BackupContent
from opscheck.systems.postgres.programs import VARIABLE
from opscheck.testing import Answers, expect, judge
from tests.checks.backup.stores import typed
from tests.servers.dumps import DATABASE, PACKINGS, SECRET
from tests.servers.s3 import FolderPlace

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NAMES = "db/{series}-%Y%m%d-%H%M%S.dump"


def key(series: str = "orders", *, hours_ago: int = 10, suffix: str = "dump") -> str:
    return f"db/{series}-{NOW - timedelta(hours=hours_ago):%Y%m%d-%H%M%S}.{suffix}"


def content(place, **fields) -> BackupContent:
    given = {"names": NAMES, "depth": "whole", "severity": "P1"} | fields
    return expect(BackupContent, place.target, **given)


def judged(place, **fields) -> Findings:
    """The check with what the store really answers; no row may be in its findings."""
    found = judge(the_check, content(place, **fields), place.ask, NOW)
    assert SECRET not in msgspec.json.encode([found.violations, found.measurements]).decode()
    return found


def missing(place, **fields) -> tuple[Findings, CouldNotObserve]:
    """What it found before it met something that nobody can tell, and what that was."""
    expectation = content(place, **fields)
    findings = Findings(expectation)
    with pytest.raises(CouldNotObserve) as raised:
        the_check(expectation, Answers(place.ask, NOW), findings)
    return findings, raised.value


def commands(place, finding, **fields) -> list[str]:
    return typed(content(place, **fields), finding)


@pytest.fixture(name="here")
def _here(tmp_path):
    return FolderPlace(tmp_path / "backups")


@pytest.mark.parametrize("depth", ["ends", "whole"])
@pytest.mark.parametrize("format_", ["plain", "custom", "tar", "cluster"])
def test_a_whole_dump_passes_and_says_how_much_of_it_was_read(store, dumps, depth, format_):
    store.put(key(), dumps.each_format()[format_])

    findings = judged(store, depth=depth)

    assert [] == findings.violations
    (read,) = findings.measurements
    assert ("read", "%") == (read.name, read.unit)
    assert depth == "ends" or read.value == 100


@pytest.mark.parametrize("depth", ["ends", "whole"])
def test_one_of_the_future_is_reported_since_it_hides_those_that_are_made(here, dumps, depth):
    here.put(key(hours_ago=-48), dumps.plain)
    here.put(key(), b"")

    (finding,) = judged(here, depth=depth).violations

    assert (Severity.P1, "begun in the future: 2026-03-03 12:00 UTC, 2d ahead") == (finding.severity, finding.observed)
    assert any(command.startswith("ls -lt ") for command in commands(here, finding))


def test_compressed_backup_is_measured_unpacked(here, dumps):
    here.put(key(), PACKINGS["zstd"](dumps.plain))

    _, unpacked = judged(here).measurements

    assert ("unpacked", len(dumps.plain), "B") == (unpacked.name, unpacked.value, unpacked.unit)


def test_the_newest_of_each_series_is_read_and_no_other(here, dumps):
    here.put(key("orders"), dumps.custom)
    here.put(key("orders", hours_ago=40), b"old and broken")
    here.put(key("customers"), dumps.custom[:-100])

    (finding,) = judged(here).violations

    assert f"{here.path}/{key('customers')}" == finding.subject
    assert Severity.P1 is finding.severity
    assert NOW - timedelta(hours=10) == finding.since


@pytest.mark.parametrize("depth", ["ends", "whole"])
def test_twenty_bytes_of_a_dump_that_failed_are_found_at_any_depth(store, depth):
    """`pg_dump nowhere | gzip` exits with 0."""
    store.put(key(suffix="sql.gz"), PACKINGS["gzip"](b""))
    fields = {"depth": depth, "names": "db/{series}-%Y%m%d-%H%M%S.sql.gz"}

    (finding,) = judged(store, **fields).violations

    assert ("nothing is in it: 20B of gzip", "a whole PostgreSQL dump") == (finding.observed, finding.expected)
    shown = commands(store, finding, **fields)
    assert any(
        "set -o pipefail; pg_dump" in command and "orders-20260301-120000.sql.gz.tmp" in command for command in shown
    )


def test_truncated_dump_is_a_finding_with_facts_and_commands(store, dumps):
    store.put(key(), dumps.custom[: len(dumps.custom) // 2])

    (finding,) = judged(store).violations
    shown = commands(store, finding)

    assert "could not read from input file: end of file, after all " in finding.observed
    assert f"of the database {DATABASE}" in finding.evidence
    assert "format: custom" in finding.evidence
    assert any(line.startswith(f"made by pg_dump {dumps.programs.version}") for line in finding.evidence)
    assert any("pg_restore -f /dev/null" in one and key() in one for one in shown)
    assert any(f"pg_dump -d {DATABASE} -Fc" in one and "orders-20260301-120000.dump" in one for one in shown)


def test_a_packed_dump_that_is_cut_off_is_found_at_the_place(here, dumps):
    names = NAMES.replace(".dump", ".sql.gz")
    here.put(key(suffix="sql.gz"), PACKINGS["gzip"](dumps.plain)[:-5])

    (finding,) = judged(here, names=names).violations

    assert finding.observed.startswith("gzip data ends before its end, after all ")
    assert "format: plain, packed with gzip" in finding.evidence
    assert any(one.startswith("gzip -dc ") for one in commands(here, finding, names=names))


def test_the_cron_job_of_the_policy_is_what_to_run_again(here):
    here.put(key(), b"")
    fields = {"cronjob": "production/postgres-backup"}

    (finding,) = judged(here, **fields).violations

    (command,) = [one for one in commands(here, finding, **fields) if "cronjob" in one]
    assert command.startswith("kubectl -n production create job --from=cronjob/postgres-backup postgres-backup-")


def test_series_without_a_backup_is_found_with_what_is_there_instead(store, dumps):
    store.put(key("orders"), dumps.custom)

    (finding,) = judged(store, series=["orders", "customers"]).violations

    assert finding.subject.endswith("db/customers-%Y%m%d-%H%M%S.dump")
    assert "a backup that is named db/customers-%Y%m%d-%H%M%S.dump" == finding.expected
    assert commands(store, finding)


def test_too_large_unpacked_size_is_a_finding(here):
    here.put(key(), PACKINGS["gzip"](bytes(50_000_000)))

    (finding,) = judged(here, holds="any", unpacked_limit="10MB").violations

    assert ("<= 10MB", True) == (finding.expected, "it unpacks to more than 10MB" in finding.observed)


def test_encrypted_backup_is_unknown(here):
    here.put(key(), b"Salted__" + bytes(200_000))

    findings, raised = missing(here)

    assert [] == findings.violations
    assert ProblemKind.UNSUPPORTED is raised.problem.kind
    assert f"{key()}: it is encrypted with openssl" == raised.problem.text


def test_without_a_pg_restore_it_is_unknown_and_the_others_are_judged(here, dumps, monkeypatch):
    monkeypatch.setenv(VARIABLE, "")
    here.put(key("customers"), dumps.custom)
    here.put(key("orders"), b"")

    findings, raised = missing(here)

    assert ["nothing is in it: 0B"] == [finding.observed for finding in findings.violations]
    assert "there is no pg_restore on this machine" in raised.problem.text
    assert VARIABLE in raised.problem.advice


def test_a_sum_that_is_recorded_is_compared(store, dumps):
    store.put(key(), dumps.custom)
    recorded = hashlib.sha256(dumps.custom).hexdigest()
    store.put(f"{key()}.sha256", f"{recorded}  {key().rpartition('/')[2]}\n".encode())

    assert [] == judged(store, checksum="sidecar").violations


def test_sum_that_differs_is_found_with_both_also_where_nothing_else_is_wrong(here, dumps):
    """A byte of a table that is not compressed: pg_restore reads it without a word."""
    changed = bytearray(dumps.uncompressed)
    changed[changed.index(SECRET.encode())] ^= 0x01
    here.put(key(), bytes(changed))
    recorded = hashlib.sha256(dumps.uncompressed).hexdigest()
    here.put(f"{key()}.sha256", f"{recorded}\n".encode())
    assert [] == judged(here).violations

    (finding,) = judged(here, checksum="sidecar").violations

    assert f"sha256 {hashlib.sha256(bytes(changed)).hexdigest()}" == finding.observed
    assert f"{recorded}, as {key()}.sha256 says" == finding.expected
    assert f"sha256sum {here.path}/{key()}  # compare with the recorded sum" in commands(
        here, finding, checksum="sidecar"
    )


def test_damaged_upload_is_reported_from_a_dump_that_was_bad_from_the_start(here, dumps):
    """By its sum: of the one it differs, of the other it does not."""
    whole, half = dumps.custom, dumps.custom[:-1000]
    here.put(key("cut"), half)
    here.put(f"{key('cut')}.sha256", f"{hashlib.sha256(whole).hexdigest()}\n".encode())
    here.put(key("failed"), half)
    here.put(f"{key('failed')}.sha256", f"{hashlib.sha256(half).hexdigest()}\n".encode())

    subjects = [finding.subject.rpartition("/")[2] for finding in judged(here, checksum="sidecar").violations]

    assert [2, 1] == [sum(name.startswith(series) for name in subjects) for series in ("cut", "failed")]


@pytest.mark.parametrize(("body", "text"), [(None, "no checksum: there is no "), (b"nothing", "no checksum of it in ")])
def test_a_sum_that_is_not_recorded_is_found(here, dumps, body, text):
    here.put(key(), dumps.custom)
    if body is not None:
        here.put(f"{key()}.sha256", body)

    (finding,) = judged(here, checksum="sidecar").violations

    assert f"{text}{key()}.sha256" == finding.observed


@pytest.mark.parametrize(("prefix", "good"), [("", True), ("sha256:", True), ("md5:", False)])
def test_a_sum_in_a_manifest_is_compared(here, dumps, prefix, good):
    here.put(key(), dumps.custom)
    manifest = {"files": [{"sha256": prefix + hashlib.sha256(dumps.custom).hexdigest()}]}
    here.put(f"{key()}.json", msgspec.json.encode(manifest))

    found = judged(here, checksum={"key": "{key}.json", "sha256": "files[0].sha256"}).violations

    assert good == (not found)


def test_folders_are_judged_too(here, dumps, tmp_path):
    for name, body in dumps.directory(tmp_path / "dump").items():
        here.put(f"db/20260301/{name}", body)

    assert [] == judged(here, names="db/%Y%m%d/").violations
    (here.path / "db/20260301/toc.dat").unlink()
    (finding,) = judged(here, names="db/%Y%m%d/").violations
    assert finding.observed.startswith("no dump in directory format")
