"""
A nightly backup script as operations guides have them, run for real with the faults it has, and what opscheck says.

It pipes pg_dump into gzip without `pipefail`, and asks for the time twice.
"""

import gzip
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest

from tests.servers.dumps import DATABASE, SECRET, has
from tests.servers.interpreters import Interpreter

pytestmark = pytest.mark.skipif(
    not has("bash", "gzip", "tail", "grep", "sha256sum"), reason="this machine lacks bash, gzip or coreutils"
)

CARELESS = """
    pg_dump "$DATABASE_URL" | gzip > "$SPOOL/backup-$(date +%Y%m%d-%H%M%S).sql.gz"

    aws s3 cp "$SPOOL/backup-$(date +%Y%m%d-%H%M%S).sql.gz" "s3://$BUCKET/database/"
"""
CAREFUL = """
    set -euo pipefail
    name=backup-$(date +%Y%m%d-%H%M%S).sql.gz
    cd "$SPOOL"
    trap 'rm -f "$name.tmp"' EXIT

    pg_dump "$DATABASE_URL" | gzip > "$name.tmp"
    gzip -dc "$name.tmp" | tail -n 12 | grep 'dump complete'
    mv "$name.tmp" "$name"
    sha256sum "$name" > "$name.sha256"

    aws s3 cp "$name.sha256" "s3://$BUCKET/database/"
    aws s3 cp "$name" "s3://$BUCKET/database/"
"""
# Stands in for the AWS command line: `aws s3 cp FILE s3://BUCKET/PREFIX/`, over HTTP.
AWS = """
    import sys
    from pathlib import Path
    import boto3

    _, _, copy, source, target = sys.argv
    file = Path(source)
    if not file.exists():
        sys.exit(f"The user-provided path {source} does not exist.")
    bucket, _, prefix = target.removeprefix("s3://").partition("/")
    boto3.client("s3").put_object(Bucket=bucket, Key=prefix + file.name, Body=file.read_bytes())
"""
POLICY = """
    version: 1
    environment: test
    targets:
      backups: {{kind: s3, bucket: {bucket}}}
    expectations:
      - id: fresh
        check: backup.objects
        target: backups
        names: database/backup-%Y%m%d-%H%M%S.sql.gz
        age: {{P1: 25h}}
        size_floor: {{P2: 1KB}}
      - id: readable
        check: backup.content
        target: backups
        names: database/backup-%Y%m%d-%H%M%S.sql.gz
        depth: whole
        within: 5m
        severity: P1{more}
"""
WITH_SUM = "\n    checksum: sidecar"


class Site:
    """A database, a bucket, the machine that the script runs on, and opscheck."""

    def __init__(self, dumps, bucket, folder: Path, interpreter: Interpreter) -> None:
        self.dumps, self.bucket, self.folder = dumps, bucket, folder
        self._run = interpreter
        self.spool = folder / "spool"
        self.spool.mkdir()
        self._write("bin/aws", f"#!{sys.executable}\n{textwrap.dedent(AWS)}").chmod(0o755)

    def back_up(self, script: str, database: str = DATABASE, *, most_kib: int | None = None) -> int:
        """Run the script; with `most_kib` the disk takes no larger file. What it exits with."""
        self._write("backup.sh", textwrap.dedent(script))
        limit = f"ulimit -f {most_kib}; " if most_kib is not None else ""
        bin_, programs = self.folder / "bin", self.dumps.programs.folder
        variables = {
            "PATH": f"{bin_}:{programs}:{os.environ['PATH']}",
            "TZ": "UTC",
            "PYTHONDONTWRITEBYTECODE": "1",
            "DATABASE_URL": self.dumps.server.dsn("postgres", database),
            "BUCKET": self.bucket.bucket,
            "SPOOL": str(self.spool),
        }
        command = ["bash", "-c", f"{limit}exec bash backup.sh"]
        return subprocess.run(
            command, cwd=self.folder, env=os.environ | variables, capture_output=True, timeout=60, check=False
        ).returncode

    def back_up_within_a_second(self, script: str, **how) -> list[str]:
        """Run it until both its times are the same, as they mostly are. What it has uploaded."""
        for _ in range(20):
            time.sleep(1.02 - time.time() % 1)  # a second begins
            self.back_up(script, **how)
            if self.keys():
                return self.keys()
        pytest.fail("in 20 runs it never asked for the time twice within a second")

    def keys(self) -> list[str]:
        """What is in the bucket."""
        found = self.bucket.client.list_objects_v2(Bucket=self.bucket.bucket).get("Contents", ())
        return [one["Key"] for one in found]

    def size(self, key: str) -> int:
        """How large an object is."""
        return self.bucket.client.head_object(Bucket=self.bucket.bucket, Key=key)["ContentLength"]

    def judge(self, *, more: str = "") -> SimpleNamespace:
        """What opscheck run says."""
        policy = self._write("policy.yaml", textwrap.dedent(POLICY).format(bucket=self.bucket.bucket, more=more))
        record = self.folder / "run.json"
        done = self._run("opscheck", "run", "-p", policy, "--json", record, cwd=self.folder, timeout=90)
        assert SECRET not in done.stdout + done.stderr + record.read_text()
        results = {result["id"]: result for result in json.loads(record.read_text())["results"]}
        return SimpleNamespace(
            exits_with=done.returncode,
            out=done.stdout + done.stderr,
            verdicts={name: result["verdict"] for name, result in results.items()},
            findings={name: result["findings"] for name, result in results.items()},
        )

    def _write(self, name: str, text: str) -> Path:
        file = self.folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        return file


@pytest.fixture(name="site")
def _site(dumps, moto_bucket, tmp_path, interpreter: Interpreter):
    return Site(dumps, moto_bucket, tmp_path, interpreter)


@contextmanager
def slow_for(seconds: float, dumps) -> Iterator[None]:
    """Somebody holds a lock for which pg_dump waits."""
    held = threading.Event()

    def hold() -> None:
        with psycopg.connect(dumps.server.dsn("postgres", DATABASE)) as connection:
            connection.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
            held.set()
            time.sleep(seconds)

    holding = threading.Thread(target=hold)
    holding.start()
    assert held.wait(20)
    yield
    holding.join(20)


def commands(findings) -> str:
    return "\n".join(command for finding in findings for command in finding["remediation"]["commands"])


def test_failed_dump_uploads_twenty_bytes_and_is_detected(site):
    """Gzip packs nothing, and ends well: the script knows of no failure."""
    (key,) = site.back_up_within_a_second(CARELESS, database="no_such_database")
    assert 20 == site.size(key)

    run = site.judge()

    assert (1, {"fresh": "violated", "readable": "violated"}) == (run.exits_with, run.verdicts)
    (content,) = run.findings["readable"]
    assert (f"s3://{site.bucket.bucket}/{key}", "nothing is in it: 20B of gzip") == (
        content["subject"],
        content["observed"],
    )
    assert "set -o pipefail; pg_dump" in commands([content])
    assert any("no larger than a file with nothing in it" in one["observed"] for one in run.findings["fresh"])


def test_script_that_reads_the_clock_twice_uploads_nothing_detected(site):
    """pg_dump waits for a lock for more than a second, and the second name is none of a file."""
    last = datetime.now(UTC) - timedelta(hours=26)
    old = f"database/backup-{last:%Y%m%d-%H%M%S}.sql.gz"
    site.bucket.put(old, gzip.compress(site.dumps.plain), modified=last)
    with slow_for(1.5, site.dumps):
        assert 0 != site.back_up(CARELESS)
    (file,) = site.spool.iterdir()
    assert file.stat().st_size > 1000
    assert [old] == site.keys()

    run = site.judge()

    assert (1, {"fresh": "violated", "readable": "passed"}) == (run.exits_with, run.verdicts)
    (fresh,) = run.findings["fresh"]
    assert (f"s3://{site.bucket.bucket}/{old}", "P1", "<= 25h") == (
        fresh["subject"],
        fresh["severity"],
        fresh["expected"].replace("1d1h", "25h"),
    )
    assert "aws s3 ls" in commands([fresh])


def test_missing_first_upload_is_detected(site):
    with slow_for(1.5, site.dumps):
        site.back_up(CARELESS)
    assert [] == site.keys()

    run = site.judge()

    assert (1, {"fresh": "violated", "readable": "violated"}) == (run.exits_with, run.verdicts)
    assert all("nothing under database/" in one["observed"] for found in run.findings.values() for one in found)


def test_file_truncated_by_a_full_disk_is_detected(site):
    """Gzip dies of it, and nobody asks how it ended."""
    (key,) = site.back_up_within_a_second(CARELESS, most_kib=24)
    assert 24 * 1024 == site.size(key)

    run = site.judge()

    assert (1, {"fresh": "passed", "readable": "violated"}) == (run.exits_with, run.verdicts)
    (content,) = run.findings["readable"]
    assert f"s3://{site.bucket.bucket}/{key}" == content["subject"]
    assert "gzip data ends before its end, after all 24.6KB" == content["observed"]
    assert f"aws s3 cp s3://{site.bucket.bucket}/{key} - | gzip -dc | tail -n 12" in commands([content])


def test_corrected_script_passes(site):
    assert 0 == site.back_up(CAREFUL)
    assert 2 == len(site.keys())

    run = site.judge(more=WITH_SUM)

    assert (0, {"fresh": "passed", "readable": "passed"}) == (run.exits_with, run.verdicts), run.out


@pytest.mark.parametrize("how", [{"database": "no_such_database"}, {"most_kib": 24}], ids=["no database", "full disk"])
def test_corrected_script_fails_at_any_error_and_uploads_nothing(site, how):
    assert 0 != site.back_up(CAREFUL, **how)

    assert ([], []) == (site.keys(), list(site.spool.iterdir()))


def test_corrected_script_works_with_object_lock(site):
    with slow_for(1.5, site.dumps):
        assert 0 == site.back_up(CAREFUL)

    assert {"fresh": "passed", "readable": "passed"} == site.judge(more=WITH_SUM).verdicts
