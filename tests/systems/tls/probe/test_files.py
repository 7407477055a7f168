"""Certificates in files of this machine, whole, in part, hidden and locked; and keys, which stay where they are."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from types import SimpleNamespace

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

from opscheck import HostTarget
from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.host.probe import HostSession, commands, open_session
from opscheck.systems.host.probe.commands import Finished
from opscheck.systems.tls.files import (
    LARGEST_FILE,
    CertificateFile,
    CertificateFiles,
    Fault,
    ReadCertificateFiles,
)
from opscheck.systems.tls.probe import files as certificate_files
from opscheck.systems.tls.probe.files import read_certificate_files
from tests.registries import answer as ask
from tests.servers.tls import Chain, Issued

NOBODY = 65534
BEGIN = "-----BEGIN CERTIFICATE-----"


def host(run) -> SimpleNamespace:
    """A host session whose scripts are run by `run`."""
    return SimpleNamespace(run=run, keystore_password=None)


@pytest.fixture(name="chain", scope="module")
def _chain() -> Chain:
    return Chain.made()


@pytest.fixture(name="leaf", scope="module")
def _leaf(chain) -> Issued:
    return chain.leaf()


@pytest.fixture(name="folder")
def _folder() -> Iterator[Path]:
    """A folder with a blank and a quote in its name, readable by all users."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        folder = Path(made) / "what's in"
        folder.mkdir()
        yield folder


@pytest.fixture(name="unprivileged")
def _unprivileged(monkeypatch) -> None:
    """Run commands as a user without permission to read everything."""
    if os.getuid() == 0:
        start = subprocess.Popen
        monkeypatch.setattr(
            commands.subprocess, "Popen", lambda *words, **options: start(*words, user=NOBODY, group=NOBODY, **options)
        )


def session(password: str | None = None) -> HostSession:
    return open_session(HostTarget(kind="host", uri="local://", keystore_password=password), 10)


def read(*patterns: object, password: str | None = None) -> CertificateFiles:
    query = ReadCertificateFiles("host", paths=tuple(str(pattern) for pattern in patterns))
    answer: CertificateFiles = ask(session(password), query, 20)
    return answer


def only(pattern: object, password: str | None = None) -> CertificateFile:
    (file,) = read(pattern, password=password).files
    return file


def subjects(file: CertificateFile) -> list[str]:
    return [one.subject for one in file.certificates]


def keystore(leaf: Issued, *others: Issued, password: str = "", friendly: bytes | None = b"api") -> bytes:
    encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    cas = [one.certificate for one in others]
    return pkcs12.serialize_key_and_certificates(friendly, leaf.key, leaf.certificate, cas, encryption)


# Read files


def test_pem_chain_keeps_its_order_and_modification_time(folder, chain, leaf):
    leaf.write(folder / "full.pem", chain.middle)
    file = only(folder / "*.pem")

    assert ["CN=api.example.test", "CN=Test Issuing"] == subjects(file)
    assert (str(folder / "full.pem"), None, False) == (file.path, file.fault, file.keystore)
    assert datetime.fromtimestamp(int((folder / "full.pem").stat().st_mtime), UTC) == file.modified


def test_crlf_and_text_between_certificates_are_accepted(folder, leaf):
    text = b"subject=/CN=api\n" + leaf.pem + b"\nBag Attributes\n  friendlyName: api\n" + leaf.pem
    (folder / "windows.pem").write_bytes(text.replace(b"\n", b"\r\n"))

    assert 2 == len(only(folder / "windows.pem").certificates)


def test_a_certificate_in_der_is_read(folder, leaf):
    (folder / "one.der").write_bytes(leaf.certificate.public_bytes(Encoding.DER))

    assert ["CN=api.example.test"] == subjects(only(folder / "one.der"))


@pytest.mark.parametrize("password", ["", "pässwörd"])
def test_a_keystore_is_opened_with_the_targets_password(folder, chain, leaf, password):
    (folder / "store.p12").write_bytes(keystore(leaf, chain.middle, password=password))
    file = only(folder / "store.p12", password or None)

    assert ["CN=api.example.test", "CN=Test Issuing"] == subjects(file)
    assert (True, None) == (file.keystore, file.fault)


def test_unprotected_keystore_opens_despite_a_given_password(folder, leaf):
    (folder / "store.p12").write_bytes(keystore(leaf))

    assert 1 == len(only(folder / "store.p12", "for others").certificates)


def test_openssls_own_keystore_is_read(folder, chain, leaf):
    leaf.write(folder / "full.pem", chain.middle)
    command = ["openssl", "pkcs12", "-export", "-in", "full.pem", "-out", "store.p12", "-passout", "pass:s3cret"]
    subprocess.run(command, cwd=folder, check=True, timeout=30, capture_output=True)

    assert 2 == len(only(folder / "store.p12", "s3cret").certificates)


def test_file_with_several_names_is_read_once(folder, leaf):
    leaf.write(folder / "api.pem")
    (folder / "b.pem").symlink_to("api.pem")

    assert [str(folder / "api.pem")] == [file.path for file in read(folder / "*", folder / "api.pem").files]


def test_link_has_its_targets_modification_time(folder, leaf):
    """Certbot's `live` holds links; a renewal writes a new file elsewhere."""
    (folder / "archive").mkdir()
    leaf.write(folder / "archive" / "cert2.pem")
    os.utime(folder / "archive" / "cert2.pem", (1_700_000_000, 1_700_000_000))
    (folder / "cert.pem").symlink_to("archive/cert2.pem")

    assert datetime.fromtimestamp(1_700_000_000, UTC) == only(folder / "cert.pem").modified


def test_matching_folders_are_ignored(folder, leaf):
    leaf.write(folder / "api.pem")
    (folder / "more").mkdir()

    assert 1 == len(read(folder / "*").files)


# Faults


NOT_PEM = "not PEM, PKCS#12 or DER"
BROKEN = {
    "empty": (Fault.EMPTY, "", 0, lambda leaf, chain: b""),
    "a key alone": (Fault.NONE, "it contains PRIVATE KEY", 0, lambda leaf, chain: leaf.key_pem),
    "a text": (Fault.NONE, NOT_PEM, 0, lambda leaf, chain: b"nothing\n"),
    "a part": (Fault.CUT, "certificate 1 of 1 has no END line", 0, lambda leaf, chain: leaf.pem[:300]),
    "the second in part": (
        *(Fault.CUT, "certificate 2 of 2 has no END line", 1),
        lambda leaf, chain: leaf.pem + chain.middle.pem[:300],
    ),
    "the first in part": (
        *(Fault.CUT, "certificate 1 of 2 has no END line", 1),
        lambda leaf, chain: leaf.pem[:300] + b"\n" + chain.middle.pem,
    ),
    "a part before a key": (
        *(Fault.CUT, "certificate 1 of 1 has no END line", 0),
        lambda leaf, chain: leaf.pem[:300] + b"\n" + leaf.key_pem,
    ),
    "no base64": (
        *(Fault.DAMAGED, "certificate 1 of 1 cannot be parsed", 0),
        lambda leaf, chain: leaf.pem.replace(b"M", b"*"),
    ),
    "other bytes": (
        *(Fault.DAMAGED, "certificate 1 of 1 cannot be parsed", 0),
        lambda leaf, chain: leaf.pem.replace(b"MII", b"AAA", 1),
    ),
    # The key's last line and the certificate's first are one, as `cat key.pem cert.pem` makes them.
    "run together": (
        *(Fault.DAMAGED, "certificate 1 of 1 cannot be parsed", 0),
        lambda leaf, chain: leaf.key_pem.strip() + leaf.pem,
    ),
    "DER in part": (Fault.CUT, "shorter than its length field", 0, lambda leaf, chain: der(leaf)[:200]),
    "DER spoilt": (
        *(Fault.DAMAGED, "it begins like a certificate, but cannot be parsed", 0),
        lambda leaf, chain: der(leaf)[:20] + b"\xff" * 20 + der(leaf)[40:],
    ),
    "a keystore in part": (
        *(Fault.CUT, "shorter than its length field", 0),
        lambda leaf, chain: keystore(leaf, password="x")[:500],
    ),
    "a keystore with a password": (Fault.NO_PASSWORD, "", 0, lambda leaf, chain: keystore(leaf, password="x")),
    "Java's own keystore": (
        Fault.UNSUPPORTED,
        "a Java keystore (JKS); `keytool -importkeystore -deststoretype pkcs12` converts it",
        0,
        lambda leaf, chain: b"\xfe\xed\xfe\xed\0\0\0\2" + b"\0" * 40,
    ),
    "very large": (Fault.TOO_LARGE, "", 0, lambda leaf, chain: leaf.pem + b"\n" * LARGEST_FILE),
}


@pytest.mark.parametrize("case", BROKEN)
def test_file_without_whole_certificate_has_its_fault(folder, chain, leaf, case):
    fault, detail, certificates, text = BROKEN[case]
    (folder / "file").write_bytes(text(leaf, chain))
    file = only(folder / "file")

    assert (fault, detail, certificates) == (file.fault, file.detail, len(file.certificates))


def der(leaf: Issued) -> bytes:
    return leaf.certificate.public_bytes(Encoding.DER)


def test_keystore_with_another_password_is_reported(folder, leaf):
    (folder / "store.p12").write_bytes(keystore(leaf, password="right"))

    assert Fault.WRONG_PASSWORD == only(folder / "store.p12", "wrong").fault


def test_keystore_without_certificate_is_reported(folder, leaf):
    nothing = pkcs12.serialize_key_and_certificates(b"api", leaf.key, None, None, NoEncryption())
    (folder / "store.p12").write_bytes(nothing)

    assert (Fault.NONE, "a keystore without a certificate") == (
        only(folder / "store.p12").fault,
        only(folder / "store.p12").detail,
    )


def test_dangling_link_and_pipe_are_reported_without_delay(folder):
    (folder / "dead").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")

    assert ["broken link", "not a regular file"] == [file.detail for file in read(folder / "*").files]


def test_unreadable_file_is_reported(unprivileged, folder, leaf):
    leaf.write(folder / "secret.pem").chmod(0)

    assert [Fault.FORBIDDEN] == [file.fault for file in read(folder / "*.pem").files]


@pytest.mark.parametrize("pattern", ["*/*.pem", "closed/*.pem", "closed/api.pem", "[c]losed/api.pem"])
def test_unlistable_folder_is_reported_as_closed(unprivileged, folder, leaf, pattern):
    for name in ("closed", "open"):
        (folder / name).mkdir()
        leaf.write(folder / name / "api.pem")
    (folder / "closed").chmod(0)
    answer = read(folder / pattern)
    (folder / "closed").chmod(0o755)

    assert (str(folder / "closed"),) == answer.closed
    assert () == answer.unmatched
    assert pattern.startswith("*") == bool(answer.files)


def test_searchable_folder_shows_files_of_known_names(unprivileged, folder, leaf):
    leaf.write(folder / "api.pem")
    folder.chmod(0o711)

    assert ((), 1) == (read(folder / "api.pem").closed, len(read(folder / "api.pem").files))
    assert (str(folder),) == read(folder / "*.pem").closed


def test_unmatched_pattern_lists_the_nearest_folder(folder, leaf):
    for name in "abcdefg":
        leaf.write(folder / f"{name}.crt")
    (one,) = read(folder / "live" / "*" / "fullchain.pem").unmatched

    assert (str(folder), 7) == (one.near, one.count)
    assert ("a.crt", "b.crt", "c.crt", "d.crt", "e.crt") == one.there


def test_files_beyond_the_maximum_are_counted(folder, leaf, monkeypatch):
    monkeypatch.setattr(certificate_files, "MOST_FILES", 3)
    for number in range(5):
        leaf.write(folder / f"{number}.pem")
    answer = read(folder / "*")

    assert (3, 2) == (len(answer.files), answer.left_out)


def test_names_with_line_breaks_are_counted(folder, leaf):
    leaf.write(folder / "x\nfile;0;pem;9;9;\npath;other")
    leaf.write(folder / "api.pem")
    answer = read(folder / "*")

    assert ([str(folder / "api.pem")], 1) == ([file.path for file in answer.files], answer.left_out)


def test_names_in_unknown_encoding_are_counted(folder, leaf):
    os.rename(leaf.write(folder / "api.pem"), os.fsencode(folder) + b"/\xff.pem")  # noqa: PTH104 - a Path is a text

    assert (0, 1) == (len(read(folder / "*").files), read(folder / "*").left_out)


def test_large_output_is_read_in_pieces(folder, leaf):
    padding = b"#" * 78 + b"\n"
    for number in range(4):
        body = leaf.pem + padding * (LARGEST_FILE // len(padding) - 100)
        (folder / f"{number}.pem").write_bytes(body)

    assert 4 == sum(len(file.certificates) for file in read(folder / "*").files)


# Keys stay on the host


def test_only_encrypted_keys_leave_the_host(folder, chain, leaf, monkeypatch):
    leaf.write(folder / "full.pem", chain.middle)
    (folder / "key.pem").write_bytes(leaf.key_pem)
    (folder / "cut.pem").write_bytes(leaf.pem[:300] + b"\n" + leaf.key_pem)
    (folder / "cut in a line.pem").write_bytes(leaf.pem[:300] + leaf.key_pem)
    (folder / "glued.pem").write_bytes(leaf.pem.strip() + leaf.key_pem)
    (folder / "begun twice.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\n" + leaf.key_pem + leaf.pem)
    (folder / "key.der").write_bytes(leaf.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "store.p12").write_bytes(keystore(leaf, password="x"))
    said = listened(monkeypatch)
    answer = msgspec.json.encode(read(folder / "*", password="x"))

    assert b"-----BEGIN CERTIFICATE-----" in bytes(said)
    for line in leaf.key_pem.splitlines()[1:-1]:
        assert line not in said
        assert line not in answer
    assert b"PRIVATE" not in answer.replace(b"it contains PRIVATE KEY", b"")
    assert b"keystore_password" not in answer


def listened(monkeypatch) -> bytearray:
    """All that hosts say from now on."""
    said, run = bytearray(), HostSession.run

    def listen(self, script, arguments, timeout_s):
        finished = run(self, script, arguments, timeout_s)
        said.extend(finished.stdout)
        return finished

    monkeypatch.setattr(HostSession, "run", listen)
    return said


# Hosts


@pytest.mark.parametrize("tool", ["base64", "readlink"])
def test_host_without_one_of_the_tools_is_read(folder, leaf, tmp_path, monkeypatch, tool):
    (folder / "store.p12").write_bytes(keystore(leaf, password="x"))
    leaf.write(folder / "api.pem")
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in {"sh", "env", "stat", "wc", "tr", "grep", "od", "sed", "sort", "base64", "readlink", "dirname"} - {
        tool
    }:
        (programs / name).symlink_to(shutil.which(name) or "/bin/false")
    monkeypatch.setenv("PATH", str(programs))

    assert [1, 1] == [len(file.certificates) for file in read(folder / "*", password="x").files]


def test_busybox_answers_the_same(busybox_tools, folder, chain, leaf, monkeypatch):
    leaf.write(folder / "full.pem", chain.middle)
    (folder / "cut.pem").write_bytes(leaf.pem[:300] + b"\n" + leaf.key_pem)
    (folder / "one.der").write_bytes(der(leaf))
    (folder / "store.p12").write_bytes(keystore(leaf, password="x"))
    (folder / "link.pem").symlink_to("full.pem")
    patterns = (folder / "*", folder / "none" / "*.pem")
    expected = read(*patterns, password="x")
    monkeypatch.setenv("PATH", str(busybox_tools))

    assert expected == read(*patterns, password="x")
    assert 4 == len(expected.files)


@pytest.mark.parametrize(
    "output", ["", "nonsense", "file;0;pem;1;1;\n", "nothing;0;/\nthere;a\n", "nothing;7;/\n", "all;x"]
)
def test_foreign_output_is_reported(output):
    def run(script, arguments, timeout_s):
        return Finished(0, output.encode(), b"")

    with pytest.raises(ProbeError) as caught:
        read_certificate_files(host(run), ReadCertificateFiles("host", paths=("/x",)), 1)
    assert ProblemKind.UNREADABLE == caught.value.problem.kind


@pytest.mark.parametrize(
    ("kind", "output", "fault"),
    [
        ("pem", "", None),
        ("pem", "begin;pem\nseen;1\n", None),
        ("pem", "begin;pem\nseen;0\nend\n", Fault.NONE),
        (
            "pem",
            "begin;pem\nseen;2\n+-----BEGIN CERTIFICATE-----\n+x\n+-----END CERTIFICATE-----\nend\n",
            Fault.DAMAGED,
        ),
        ("pkcs12", "begin;pkcs12\nas;base64\n+x\nend\n", Fault.DAMAGED),
        ("der", "begin;der\nas;hex\n+ 30 zz\nend\n", Fault.DAMAGED),
        ("der", "begin;der\nas;hex\n+ 30 82\nend\n", Fault.CUT),
    ],
)
def test_malformed_content_is_a_fault(kind, output, fault):
    def run(script, arguments, timeout_s):
        listed = f"file;0;{kind};10;1;\npath;/x\nall;1\n"
        return Finished(0, (output if "begin;$1" in script else listed).encode(), b"")

    query = ReadCertificateFiles("host", paths=("/x",))
    if fault is None:
        with pytest.raises(ProbeError, match="unexpected output"):
            read_certificate_files(host(run), query, 1)
    else:
        assert [fault] == [file.fault for file in read_certificate_files(host(run), query, 1).files]


def test_truncated_keystore_output_is_never_quoted():
    """It may have no password, and the truncated output may be the key."""

    def run(script, arguments, timeout_s):
        listed = "file;0;pkcs12;10;1;\npath;/x\nall;1\n"
        broken = "begin;pkcs12\nas;base64\n+cGxhbnRlZC1rZXk"
        return Finished(0, (broken if "begin;$1" in script else listed).encode(), b"")

    with pytest.raises(ProbeError) as caught:
        read_certificate_files(host(run), ReadCertificateFiles("host", paths=("/x",)), 1)
    assert "cGxhbnRlZC1rZXk" not in str(caught.value.problem)
    assert "truncated while reading /x" in caught.value.problem.text


def test_host_without_grep_is_reported():
    def run(script, arguments, timeout_s):
        return Finished(127, b"", b"sh: grep: not found")

    with pytest.raises(ProbeError, match="command not found there: sh: grep: not found"):
        read_certificate_files(host(run), ReadCertificateFiles("host", paths=("/x",)), 1)


def test_files_unread_in_time_are_a_timeout():
    def run(script, arguments, timeout_s):
        return Finished(0, b"file;0;pem;10;1;\npath;/x\nall;1\n", b"")

    with pytest.raises(ProbeError, match="only 0 of 1 files in 0s"):
        read_certificate_files(host(run), ReadCertificateFiles("host", paths=("/x",)), 0)


@pytest.mark.parametrize("script", ["sleep 60", "while :; do echo x; sleep 1; done", "while :; do echo x; done"])
def test_slow_or_endless_host_ends_in_time(folder, leaf, tmp_path, monkeypatch, script):
    leaf.write(folder / "api.pem")
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs" / "sed").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "programs" / "sed").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/programs:{os.environ['PATH']}")
    query = ReadCertificateFiles("host", paths=(f"{folder}/*",))
    started = monotonic()

    with pytest.raises(ProbeError) as caught:
        ask(session(), query, 2)
    assert monotonic() - started < 3
    assert caught.value.problem.kind in {ProblemKind.LATE, ProblemKind.UNREADABLE}
    assert not caught.value.problem.target_down
