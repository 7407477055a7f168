"""A policy of buckets and a folder, run whole: verdicts, snapshots, and what never leaves it."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from opscheck.demo.s3 import S3
from tests.servers.interpreters import Interpreter

POLICY = """
version: 1
environment: test
targets:
  backups: {kind: s3, bucket: "${BUCKET}"}
  gone: {kind: s3, bucket: no-such-bucket}
  locked-out: {kind: s3, bucket: "${BUCKET}", endpoint_url: "http://127.0.0.1:1"}
  mounted: {kind: folder, path: FOLDER}
  unmounted: {kind: folder, path: FOLDER/none}
expectations:
  - id: fresh
    check: backup.objects
    target: backups
    names: "db/{series}/%Y%m%d-%H%M%S.dump"
    series: [orders, customers]
    manifest: {key: "{key}.json", time: start}
    age: {P2: 26h, P1: 2d}
    count: {P2: 2}
    kept_for: 7d
    unfinished_uploads: {P3: 9999d}
  - {id: stale, check: backup.objects, target: backups, names: "old/%Y%m%d-%H%M%S.dump", age: {P2: 26h, P1: 2d}}
  - {id: files, check: backup.objects, target: mounted, names: "%Y%m%d.dump", age: {P1: 2d}, size_share: {P2: 80%}}
  - {id: gone, check: backup.objects, target: gone, names: "%Y%m%d.dump", age: {P1: 2d}}
  - {id: refused, check: backup.objects, target: locked-out, names: "%Y%m%d.dump", age: {P1: 2d}}
  - {id: unmounted, check: backup.objects, target: unmounted, names: "%Y%m%d.dump", age: {P1: 2d}}
  - id: bucket
    check: backup.bucket
    target: backups
    severity: P3
    versioning: true
    policy_not_public: P0
    kept_for: {P1: 30d}
"""
VERDICTS = {
    "fresh": "passed",
    "stale": "violated",
    "files": "unknown",
    "gone": "violated",
    "refused": "unknown",
    "unmounted": "unknown",
    "bucket": "violated",
}


def ago(**span: float) -> datetime:
    return datetime.now(UTC) - timedelta(**span)


@pytest.fixture(name="server", scope="module")
def _server() -> Iterator[S3]:
    with S3() as server:
        for series in ("orders", "customers"):
            for days in range(3):
                at = ago(days=days, hours=1)
                key = f"{server.bucket}/db/{series}/{at:%Y%m%d-%H%M%S}.dump"
                server.put(key, b"x" * 5000, modified=at)
                server.put(f"{key}.json", json.dumps({"start": at.isoformat(), "geheim": "row"}).encode())
        server.put(f"{server.bucket}/old/{ago(days=9):%Y%m%d-%H%M%S}.dump", b"x" * 500, modified=ago(days=9))
        yield server


@pytest.fixture(name="run")
def _run(server: S3, tmp_path: Path, interpreter: Interpreter):
    folder = tmp_path / "mounted"
    folder.mkdir()
    (folder / f"{ago():%Y%m%d}.dump").write_bytes(b"x" * 100)
    (tmp_path / "policy.yaml").write_text(POLICY.replace("FOLDER", str(folder)))

    def run(*options: str, command: str = "run") -> tuple[dict[str, Any], str]:
        written = ["--json", "run.json"] if command == "run" else []
        words = ["opscheck", command, *(("-p",) if command == "run" else ()), "policy.yaml", *written, *options]
        done = interpreter(
            *words,
            cwd=tmp_path,
            env={**os.environ, **server.variables, "BUCKET": server.bucket, "AWS_EC2_METADATA_DISABLED": "true"},
        )
        record = tmp_path / "run.json"
        return json.loads(record.read_text()) if command == "run" else {}, done.stdout + done.stderr

    return run


def verdicts(record: dict[str, Any]) -> dict[str, str]:
    return {one["id"]: one["verdict"] for one in record["results"]}


def test_each_store_has_its_verdict_and_a_snapshot_gives_the_same_again(run):
    record, _ = run("--save", "snapshot")
    again, _ = run("--from", "snapshot")

    assert VERDICTS == verdicts(record) == verdicts(again)
    assert [one["findings"] for one in record["results"]] == [one["findings"] for one in again["results"]]


def test_unknown_verdict_has_advice(run):
    record, text = run()
    summaries = {one["id"]: one["summary"] for one in record["results"]}

    assert "connection refused" in summaries["refused"]
    assert "is it mounted?" in summaries["unmounted"]
    assert "first samples" in summaries["files"]
    assert "there is no bucket no-such-bucket" in text


def test_passed_series_are_each_measured(run):
    record, _ = run("--only", "fresh")
    (fresh,) = record["results"]

    ages = [one for one in fresh["measurements"] if one["name"] == "age of the newest backup"]
    assert [93600, 93600] == [one["limit"] for one in ages]
    assert all(3600 <= one["value"] < 4000 for one in ages)


def test_credential_or_content_of_a_manifest_is_in_no_output(run, server, tmp_path):
    _, text = run("--save", "snapshot", "--junit", "junit.xml")
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".dump"]

    assert all(server.secret_key.encode() not in content for content in (*files, text.encode()))
    assert all(b"geheim" not in content for content in (*files, text.encode()))
    assert (tmp_path / "snapshot").exists()
    assert (tmp_path / "junit.xml").exists()


def test_permissions_are_printed_for_the_bucket_alone(run):
    _, text = run("--target", "backups", command="permissions")

    document = json.loads("\n".join(line for line in text.splitlines() if not line.startswith("#")))
    actions = {action for statement in document["Statement"] for action in statement["Action"]}
    assert {
        "s3:GetBucketPolicyStatus",
        "s3:GetBucketVersioning",
        "s3:GetLifecycleConfiguration",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:ListBucketMultipartUploads",
    } == actions
