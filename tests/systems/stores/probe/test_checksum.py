"""Files that say the sha256 of a backup."""

import hashlib
import subprocess

import pytest

from opscheck.systems.stores.probe.checksum import checksum_in
from opscheck.systems.stores.queries.content import Checksum, ReadChecksum
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


def test_what_sha256sum_writes_is_read(tmp_path):
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


def test_a_file_that_is_not_there_is_told(store):
    store.put(KEY)

    assert Checksum(there=False) == store.ask(ReadChecksum("target", f"{KEY}.sha256", KEY))


def test_a_file_of_any_size_and_any_bytes_says_nothing(store):
    store.put(f"{KEY}.sha256", b"\xff" * 3_000_000)

    assert Checksum() == store.ask(ReadChecksum("target", f"{KEY}.sha256", KEY))
