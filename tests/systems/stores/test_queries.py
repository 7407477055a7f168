"""Answers about stores survive a snapshot, and questions say what they ask and what that takes."""

from datetime import UTC, datetime

import msgspec
import pytest

from opscheck.systems.stores import bucket
from opscheck.systems.stores.content import ManifestValue, ReadManifest
from opscheck.systems.stores.listing import ListBackups, Listing, ListUploads, StoredBackup, Upload, Uploads

THEN = datetime(2026, 3, 1, 2, tzinfo=UTC)
BACKUP = StoredBackup(key="a", size=1, modified=THEN, storage_class="GLACIER", version="1", deleted=True, objects=2)
RULE = bucket.LifecycleRule(id="a", expires_days=1.5, archives=(("GLACIER", 7.0),), tagged=True)


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        (ListBackups("b", "%Y"), Listing(backups=(BACKUP,), since="a", others=1, examples=("x",), elsewhere=("y/",))),
        (ReadManifest("b", "a", "start"), ManifestValue(value="2026")),
        (ReadManifest("b", "a", "start"), ManifestValue(value=1.5)),
        (ReadManifest("b", "a", "start"), ManifestValue(there=False)),
        (ListUploads("b"), Uploads(oldest=(Upload(key="a", upload="1", started=THEN),), count=3)),
        (bucket.ReadLifecycle("b"), bucket.Lifecycle(rules=(RULE,))),
        (bucket.ReadReplication("b"), bucket.Replication(rules=(("db/", "other"),))),
        (bucket.ReadObjectLock("b"), bucket.ObjectLock(enabled=True, mode="COMPLIANCE", days=30)),
        (bucket.ReadPublicAccess("b"), bucket.PublicAccess(block_public_acls=True)),
    ],
)
def test_an_answer_is_the_same_after_a_snapshot(query, answer):
    assert answer == msgspec.json.decode(msgspec.json.encode(answer), type=query.answer)


@pytest.mark.parametrize(
    ("query", "text", "permission"),
    [
        (ListBackups("b", "db/%Y", 86400.0), "list db/%Y of the last 1d", "s3:ListBucket under db/"),
        (
            ListBackups("b", "db/latest", versions=True),
            "list versions of db/latest",
            "s3:ListBucketVersions under db/latest",
        ),
        (ListUploads("b"), "list unfinished uploads", "s3:ListBucketMultipartUploads on the bucket"),
        (ReadManifest("b", "db/a.json", "start"), "start in db/a.json", "s3:GetObject on db/*"),
        (ReadManifest("b", "a.json", "start"), "start in a.json", "s3:GetObject on *"),
        (bucket.ReadVersioning("b"), "the versioning", "s3:GetBucketVersioning on the bucket"),
    ],
)
def test_a_question_says_what_it_asks_and_what_that_takes(query, text, permission):
    assert (text, [permission]) == (query.text(), [one.text() for one in query.permissions()])
