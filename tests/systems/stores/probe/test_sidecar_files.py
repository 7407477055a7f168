"""Checksums and manifests next to backups: what is read of them, and what is refused."""

import hashlib
import subprocess

import pytest

from opscheck.core.observation import ProblemKind
from opscheck.systems.stores.content import Checksum, ManifestValue, ReadChecksum, ReadManifest
from opscheck.systems.stores.probe.sidecar_files import checksum_in
from tests.servers.dumps import has

SUM = hashlib.sha256(b"backup").hexdigest()
OTHER = hashlib.sha256(b"other").hexdigest()
KEY = "db/backup.dump"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"{SUM}  backup.dump\n", SUM),
        (f"{SUM} *backup.dump\n", SUM),
        (f"{SUM}  /var/backups/backup.dump\n", SUM),
        (f"{SUM.upper()}  backup.dump\r\n", SUM),
        (f"SHA256 (backup.dump) = {SUM}\n", SUM),
        (f"{SUM}  -\n", SUM),
        (f"{SUM}\n", SUM),
        (f"{OTHER}  other.dump\n{SUM}  backup.dump\n", SUM),
        (f"{OTHER}  other.dump\n", ""),
        (f"{OTHER}  -\n{SUM}  -\n", ""),
        (f"{SUM[:-1]}  backup.dump\n", ""),
        ("<html>not found</html>", ""),
        ("", ""),
    ],
)
def test_the_sum_of_that_file_is_found_as_each_program_writes_it(text, found):
    assert found == checksum_in(text, KEY)


def test_output_of_sha256sum_is_read(tmp_path):
    if not has("sha256sum"):
        pytest.skip("there is no sha256sum on this machine")
    (tmp_path / "backup.dump").write_bytes(b"backup")
    said = subprocess.run(
        ["sha256sum", "backup.dump"], cwd=tmp_path, capture_output=True, text=True, timeout=10, check=True
    ).stdout

    assert SUM == checksum_in(said, KEY)


def test_it_is_read_from_each_store(store):
    store.put(f"{KEY}.sha256", f"{SUM}  backup.dump\n".encode())

    assert Checksum(sha256=SUM) == store.ask(ReadChecksum("target", f"{KEY}.sha256", KEY))


def test_a_file_that_is_not_there_is_reported(store):
    store.put(KEY)

    assert Checksum(there=False) == store.ask(ReadChecksum("target", f"{KEY}.sha256", KEY))


def test_a_file_of_any_size_and_any_bytes_says_nothing(store):
    store.put(f"{KEY}.sha256", b"\xff" * 3_000_000)

    assert Checksum() == store.ask(ReadChecksum("target", f"{KEY}.sha256", KEY))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("backup.start", "2026-03-01T02:00:00Z"),
        ("backup.bytes", 12),
        ("files[0].name", "a"),
        ("files[0].none", None),
        ("backup.good", True),
    ],
)
def test_the_value_at_a_path_is_reported(store, path, value):
    store.put(
        "m.json", b'{"backup": {"start": "2026-03-01T02:00:00Z", "bytes": 12, "good": true}, "files": [{"name": "a"}]}'
    )

    assert ManifestValue(value=value) == store.ask(ReadManifest("target", "m.json", path))


def test_where_there_is_none_that_is_reported(store):
    assert ManifestValue(there=False) == store.ask(ReadManifest("target", "m.json", "start"))


@pytest.mark.parametrize(
    ("content", "path", "text"),
    [
        (b"geheim", "start", "m.json is not a JSON document"),
        (b"\xff\xfe", "start", "m.json is not a JSON document"),
        (b'{"start": {"geheim": 1}}', "start", "start in m.json is not a single value"),
        (b'{"start": "geheim"}', "sum(start)", "sum(start) does not apply to m.json"),
    ],
)
def test_invalid_manifest_is_reported_without_its_content(store, content, path, text):
    store.put("m.json", content)

    problem = store.ask(ReadManifest("target", "m.json", path))

    assert (ProblemKind.UNREADABLE, text) == (problem.kind, problem.text)


def test_a_long_text_is_cut(store):
    store.put("m.json", b'{"start": "%b"}' % (b"x" * 5000))

    assert 300 == len(store.ask(ReadManifest("target", "m.json", "start")).value)


def test_too_large_manifest_is_not_read(store):
    store.put("m.json", b" " * (2**20 + 1))

    assert "larger than 1 MiB" in store.ask(ReadManifest("target", "m.json", "start")).text
