"""Answers survive a snapshot: written as JSON and read back they are the same."""

from datetime import UTC, datetime

import msgspec
import pytest

from opscheck.systems.host.disk import DiskAnswer, DiskUse, Filesystem, Inodes
from opscheck.systems.postgres.connections import Holder, Occupancy, Refusal, RefusedBy, Sessions, SessionsAnswer, Share
from opscheck.systems.tls.files import (
    CertificateFile,
    CertificateFiles,
    Fault,
    ReadCertificateFiles,
    Unmatched,
)
from opscheck.systems.tls.x509 import Certificate

OCCUPANCY = Occupancy(
    role="opscheck",
    is_superuser=False,
    max_connections=100,
    superuser_reserved=3,
    reserved=2,
    used=1,
    roles=(Share(name="app", used=1, limit=5),),
    databases=(Share(name="shop", used=1, limit=None),),
    holders=(Holder(application="a", role="app", database="shop", client="::1", state="idle", count=1),),
    walsenders=1,
    max_wal_senders=10,
    senders=(),
)
REFUSAL = Refusal(text="désolé", by=RefusedBy.ROLE, role="app", database="shop")
DISK = Filesystem(
    mounted_on="/data",
    source="/dev/sdb",
    type="ext4",
    read_only=True,
    size=3,
    used=1,
    available=1,
    inodes=Inodes(used=1, free=1),
)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CERTIFICATE = Certificate(subject="", issuer="CN=x", not_before=NOON, not_after=NOON, serial="1", fingerprint="ab")
FILES = CertificateFiles(
    files=(CertificateFile(path="/a", modified=NOON, certificates=(CERTIFICATE,), fault=Fault.CUT, detail="x"),),
    unmatched=(Unmatched(pattern="/b/*", near="/b", there=("c",), count=1),),
    closed=("/root",),
    left_out=1,
)


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        (ReadCertificateFiles("host", paths=("/a",)), FILES),
        (Sessions("database"), SessionsAnswer(occupancy=OCCUPANCY)),
        (Sessions("database", role="app"), SessionsAnswer(refusal=REFUSAL)),
        (DiskUse("host", mount="/data"), DiskAnswer(path="/data", filesystem=DISK)),
        (DiskUse("host", mount="/data"), DiskAnswer(path="/data", filesystem=None)),
    ],
)
def test_an_answer_is_the_same_after_a_snapshot(query, answer):
    assert answer == msgspec.json.decode(msgspec.json.encode(answer), type=query.answer)
