"""What a backup is, by its first bytes."""

import subprocess

import pytest

from opscheck.systems.stores.archives.formats import HEAD, kind_of
from tests.servers.dumps import PACKINGS, has
from tests.systems.stores.archives.test_tar import made


def test_each_format_of_pg_dump_is_known(dumps):
    for format_, dump in dumps.each_format().items():
        assert format_ == kind_of(dump[:HEAD]).format


@pytest.mark.parametrize("packing", PACKINGS)
def test_each_packing_is_known(packing):
    found = kind_of(PACKINGS[packing](b"something")).packing

    assert found is not None
    assert packing == found.name


def test_a_tar_of_other_files_is_not_a_dump():
    assert "archive" == kind_of(made(("etc/hosts", b"127.0.0.1 localhost"))).format


@pytest.mark.parametrize("blank", [b"", b"\n", b"  \r\n\t"])
def test_nothing_and_blanks_are_empty(blank):
    assert "empty" == kind_of(blank).format


@pytest.mark.parametrize(
    "said",
    [
        b'pg_dump: error: connection to server at "db" (10.0.0.1), port 5432 failed: FATAL:  no such role\n',
        b"pg_dumpall: error: query failed\n",
        b"connection to server on socket failed\n",
    ],
)
def test_an_error_message_in_the_place_of_a_dump_is_one(said):
    """`pg_dump … > backup.sql 2>&1`."""
    found = kind_of(said)

    assert ("other", True) == (found.format, found.is_error_message)


@pytest.mark.parametrize("options", [(), ("--armor",)], ids=["binary", "armour"])
def test_gpg_encryption_is_detected(options, tmp_path):
    if not has("gpg", "gpgconf"):
        pytest.skip("there is no gpg on this machine")
    tmp_path.chmod(0o700)
    command = ["gpg", "--batch", "--homedir", tmp_path, "--pinentry-mode", "loopback", "--passphrase", "x"]
    made_so = subprocess.run(
        [*command, *options, "--symmetric"], input=b"a dump" * 1000, capture_output=True, timeout=60, check=True
    )
    # It has started an agent, which would stay.
    subprocess.run(["gpgconf", "--homedir", tmp_path, "--kill", "all"], timeout=60, check=True)

    assert "gpg" == kind_of(made_so.stdout).encrypted_by


def test_openssl_encryption_is_detected():
    if not has("openssl"):
        pytest.skip("there is no openssl on this machine")
    command = ["openssl", "enc", "-aes-256-cbc", "-pbkdf2", "-k", "x"]
    made_so = subprocess.run(command, input=b"a dump" * 1000, capture_output=True, timeout=60, check=True)

    assert "openssl" == kind_of(made_so.stdout).encrypted_by


@pytest.mark.parametrize(
    ("first", "program"),
    [
        (b"age-encryption.org/v1\n-> X25519 abc\n", "age"),
        (b"-----BEGIN AGE ENCRYPTED FILE-----\n", "age"),
        (bytes([0x85, 0x01, 0x0C, 0x03]) + bytes(100), "gpg"),
        (bytes([0xC1, 0xC0, 0x4C, 0x03]) + bytes(100), "gpg"),
        (bytes([0xC3, 0x0D, 0x04, 0x09]) + bytes(100), "gpg"),
        (bytes([0x84, 0x5E, 0x03]) + bytes(100), "gpg"),
        (b"\x8c is no packet of a session key", ""),
    ],
)
def test_other_encryption_is_detected_by_its_first_bytes(first, program):
    assert program == kind_of(first).encrypted_by
