"""
The policy that is printed for a bucket, given to a user of a real server, and again with each action taken away.

moto looks at the actions of a policy, and not at resources and conditions; those are compared with what AWS documents.
"""

import json
from collections.abc import Iterator
from http.client import HTTPConnection

import boto3
import pytest

from opscheck import S3Target
from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.query import Permission
from opscheck.demo.s3 import REGION, S3
from opscheck.systems.stores import bucket as parts
from opscheck.systems.stores.content import ReadManifest
from opscheck.systems.stores.listing import ListBackups, ListUploads
from opscheck.systems.stores.permissions import render
from opscheck.systems.stores.probe.s3.session import open_session
from opscheck.systems.stores.target import S3Action

TARGET = S3Target(kind="s3", name="target", bucket="backups")
QUERIES = [
    ListBackups("target", "db/%Y%m%d.dump"),
    ListBackups("target", "db/latest.dump", versions=True),
    ListUploads("target", "db/"),
    ReadManifest("target", "db/a.json", "start"),
    parts.ReadVersioning("target"),
    parts.ReadObjectLock("target"),
    parts.ReadEncryption("target"),
    parts.ReadPublicAccess("target"),
    parts.ReadPolicyStatus("target"),
    parts.ReadLifecycle("target"),
    parts.ReadReplication("target"),
]
UNKNOWN_TO_MOTO = {
    "s3:GetBucketObjectLockConfiguration",
    "s3:GetBucketPublicAccessBlock",
    "s3:GetEncryptionConfiguration",
    "s3:GetReplicationConfiguration",
}
"""It asks for s3:ListBucket in their place."""
PERMISSIONS = [permission for query in QUERIES for permission in query.permissions()]


def document(*permissions: Permission, target: S3Target = TARGET) -> list[dict]:
    """The statements; what a person reads before them begins with #."""
    lines = [line for line in render(target, permissions).splitlines() if not line.startswith("#")]
    return json.loads("\n".join(lines))["Statement"]


class Account:
    """A user of an S3 server that is strict about policies, and its administrator."""

    def __init__(self, server: S3) -> None:
        self.target = TARGET.model_copy(update={"bucket": server.bucket, "endpoint_url": server.url})
        self.iam = boto3.client(
            "iam",
            endpoint_url=server.url,
            aws_access_key_id=server.access_key,
            aws_secret_access_key=server.secret_key,
            region_name=REGION,
        )
        self.iam.create_user(UserName="opscheck")
        self.keys = self.iam.create_access_key(UserName="opscheck")["AccessKey"]
        self._port = server.port

    @property
    def variables(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": self.keys["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": self.keys["SecretAccessKey"],
            "AWS_DEFAULT_REGION": REGION,
        }

    def grant(self, statements: list[dict]) -> None:
        """Make this the user's only policy."""
        self._let_everybody_in(True)
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        self.iam.put_user_policy(UserName="opscheck", PolicyName="opscheck", PolicyDocument=policy)
        self._let_everybody_in(False)

    def _let_everybody_in(self, everybody: bool) -> None:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=30)
        connection.request("POST", "/moto-api/reset-auth", b"1000000" if everybody else b"0")
        assert 200 == connection.getresponse().status
        connection.close()

    def problems(self, queries: list) -> dict:
        """Why each of these is not answered."""
        session = open_session(self.target, 20)
        found = {}
        for query in queries:
            try:
                session.ask(query, 20)
            except ProbeError as error:
                found[query] = error.problem
        session.close()
        return found


@pytest.fixture(scope="module", name="account")
def _account() -> Iterator[Account]:
    with S3() as server:
        server.put(f"{server.bucket}/db/a.json", b"{}")
        account = Account(server)
        yield account
        account.iam.close()


@pytest.fixture(autouse=True)
def _credentials(request, in_environment):
    if "account" in request.fixturenames:
        in_environment(request.getfixturevalue("account").variables)


def test_it_is_enough(account):
    account.grant(document(*PERMISSIONS, target=account.target))

    assert {} == account.problems(QUERIES)


@pytest.mark.parametrize("action", sorted({one.action for one in PERMISSIONS} - UNKNOWN_TO_MOTO))
def test_without_an_action_exactly_what_needs_it_is_denied(account, action):
    kept = [permission for permission in PERMISSIONS if permission.action != action]
    account.grant(document(*kept, target=account.target))
    known = [query for query in QUERIES if not UNKNOWN_TO_MOTO & {one.action for one in query.permissions()}]

    problems = account.problems(known)

    assert [query for query in known if action in {one.action for one in query.permissions()}] == list(problems)
    for problem in problems.values():
        assert (ProblemKind.DENIED, False) == (problem.kind, problem.target_down)
        assert f"{action} on " in problem.text
        assert f"allow {action} on " in problem.advice


def test_it_has_each_prefix_once_and_none_that_another_covers():
    listing = [S3Action("s3:ListBucket", prefix=prefix) for prefix in ("db/a", "db/", "logs/", "db/")]

    (statement,) = document(*listing)

    assert {
        "Sid": "OpscheckList1",
        "Effect": "Allow",
        "Action": ["s3:ListBucket"],
        "Resource": ["arn:aws:s3:::backups"],
        "Condition": {"StringLike": {"s3:prefix": ["db/*", "logs/*"]}},
    } == statement


def test_permission_to_list_all_is_not_narrowed_down():
    (statement,) = document(S3Action("s3:ListBucket"), S3Action("s3:ListBucket", prefix="db/"))

    assert "Condition" not in statement


def test_objects_are_read_under_their_prefixes_alone_and_keys_are_reported_of():
    reading = S3Action("s3:GetObject", prefix="db/", on_objects=True)
    other = S3Action("s3:GetObjectVersion", prefix="db/", on_objects=True)

    (statement,) = document(reading, other)

    assert (["s3:GetObject", "s3:GetObjectVersion"], ["arn:aws:s3:::backups/db/*"]) == (
        statement["Action"],
        statement["Resource"],
    )
    assert "kms:Decrypt" in render(TARGET, [reading]).splitlines()[0]


@pytest.mark.parametrize(
    ("fields", "arn"),
    [
        ({"region": "cn-north-1"}, "arn:aws-cn:s3:::backups/db/*"),
        ({"region": "us-gov-west-1"}, "arn:aws-us-gov:s3:::backups/db/*"),
        ({"region": "eu-central-1"}, "arn:aws:s3:::backups/db/*"),
        (
            {"bucket": "arn:aws:s3:eu-west-1:123456789012:accesspoint/dumps"},
            "arn:aws:s3:eu-west-1:123456789012:accesspoint/dumps/object/db/*",
        ),
    ],
)
def test_each_partition_and_an_access_point_has_its_own_name(fields, arn):
    target = TARGET.model_copy(update=fields)

    (statement,) = document(S3Action("s3:GetObject", prefix="db/", on_objects=True), target=target)

    assert [arn] == statement["Resource"]


def test_permissions_of_other_systems_are_left_out():
    assert [] == document(Permission())
