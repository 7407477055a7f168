"""Every command that a remedy of backups and restore drills prints, typed in the state it is for."""

import json
from collections.abc import Mapping
from pathlib import Path

import boto3
import pytest
from psycopg.conninfo import conninfo_to_dict

from opscheck import S3Target
from opscheck.systems.backup import SYSTEM as BACKUP
from opscheck.systems.postgres import SYSTEM as POSTGRES
from opscheck.systems.recovery import SYSTEM as RECOVERY
from opscheck.systems.stores import SYSTEM as STORES
from tests.servers.dumps import DATABASE, PACKINGS
from tests.servers.s3 import BucketPlace
from tests.servers.typed_commands import declared_commands, expectations_of, typed

AWS = "aws {{ endpoint_option }} "
KEY = "db/of today.dump"
END = " | tail -n 12  # show the last lines of the dump"
REPLICATION = "s3api get-bucket-replication --bucket {{ bucket }}"
OF_BUCKETS = {
    "s3api get-bucket-policy --bucket {{ bucket }} --query Policy --output text": "s3:GetObject",
    "s3api put-public-access-block --bucket {{ bucket }} --public-access-block-configuration "
    "BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true": "",
    "s3api put-bucket-versioning --bucket {{ bucket }} --versioning-configuration Status=Enabled": "",
    "s3api put-object-lock-configuration --bucket {{ bucket }} --object-lock-configuration "
    "'ObjectLockEnabled=Enabled,Rule={DefaultRetention={Mode=GOVERNANCE,Days=30}}'  # it cannot be removed again": "",
    "s3api put-bucket-encryption --bucket {{ bucket }} --server-side-encryption-configuration "
    '\'{"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}\'': "",
    REPLICATION: "arn:aws:s3:::copies",
    "s3api get-bucket-lifecycle-configuration --bucket {{ bucket }} >rules.json  # fix it, then "
    "put-bucket-lifecycle-configuration --lifecycle-configuration file://rules.json": "",
    "s3 cp {{ new_dump }} {{ published }}": "upload:",
    "s3api restore-object --bucket {{ bucket }} --key {{ key }} --restore-request Days=7": "",
    "s3api list-object-versions --bucket {{ bucket }} --prefix {{ key }}": "DeleteMarkers",
    "s3api abort-multipart-upload --bucket {{ bucket }} --key {{ key }} --upload-id {{ upload_id }}"
    "  # unless it is still running": "",
}
OF_OBJECTS = {
    "s3 ls --recursive {{ location }} | sort | tail  # newest last": KEY,
    "s3 cp {{ url }} - | pg_restore -f /dev/null  # prints where it breaks": "",
    "s3 cp {{ url }} damaged && pg_restore -f /dev/null damaged  # prints where it breaks": "download:",
    "s3 cp {{ url }} - | sha256sum  # compare with the recorded sum": "  -",
    "s3 cp {{ url }} - | head -c 1000 | od -c | head  # show its content": "P   G   D   M   P",
}
OF_FILES = {
    "ls -lt {{ folder }} | head  # newest first": "of today.dump",
    "pg_restore -f /dev/null {{ file }}  # prints where it breaks": "",
    "pg_restore -f /dev/null {{ file }}  # prints where it breaks; of a plain dump, read the last lines": "",
    "sha256sum {{ file }}  # compare with the recorded sum": "of today.dump",
}
NEW_DUMPS = [
    f"pg_dump -d {database} -Fc -f {{{{ new_dump }}}}.tmp && pg_restore -f /dev/null {{{{ new_dump }}}}.tmp"
    " && mv {{ new_dump }}.tmp {{ new_dump }}"
    for database in ("{{ database }}", '"$DATABASE"')
]
PACKED_DUMPS = {
    f'set -o pipefail; pg_dump -d "$DATABASE" | {packer} -c > {{{{ new_dump }}}}.tmp'
    f" && {packer} -dc {{{{ new_dump }}}}.tmp | tail -n 12 | grep 'dump complete'"
    " && mv {{ new_dump }}.tmp {{ new_dump }}": packer
    for packer in PACKINGS
}
QUESTION = "printf '%s\\n' {{ question }} ';' | psql by_hand  # the database that the backup is restored into by hand"
REPLICAS = {
    "echo \"select slot_name, active, restart_lsn, wal_status from pg_replication_slots where slot_name = :'name'\""
    " | psql {{ dsn }} -v name={{ missing }}  # no row, or lost: rebuild the replica": "standby_1",
    'echo "select client_addr, state, sent_lsn, write_lsn, flush_lsn, flush_lag, reply_time from pg_stat_replication'
    " where application_name = :'name'\" | psql {{ dsn }} -v name={{ replica }}": "flush_lsn",
}
NOT_TYPED = {
    "kubectl ": "needs a cluster: tests/cluster types the commands of the kubernetes system",
    "velero ": "the program velero cannot be fetched",
    "pgbackrest ": "tests/stores/test_pgbackrest.py types commands of its findings",
    "barman ": "needs a host with Barman: tests/stores/test_barman.py runs one",
    "opscheck run -p POLICY ": "POLICY and FILE are for the person to fill in; tests/whole runs such drills",
    "pip install ": "changes the environment of the tests",
}


def of_buckets(arguments: Mapping[str, str]) -> dict[str, str]:
    return {AWS + command: expected for command, expected in arguments.items()}


def test_every_declared_command_is_in_one_table():
    kinds = [kind for system in (BACKUP, RECOVERY, STORES) for kind in expectations_of(system)]
    typed_elsewhere = set(declared_commands(expectations_of(POSTGRES)))
    declared = [one for one in declared_commands(kinds) if one not in typed_elsewhere]
    listed = [
        *of_buckets(OF_BUCKETS | OF_OBJECTS),
        *(f"{AWS}s3 cp {{{{ url }}}} - | {packer} -dc{END}" for packer in PACKINGS),
        *(f"{packer} -dc {{{{ file }}}}{END}" for packer in PACKINGS),
        *(*OF_FILES, *NEW_DUMPS, *PACKED_DUMPS, QUESTION, *REPLICAS),
    ]
    reasons = {one: [word for word in NOT_TYPED if one.startswith(word)] for one in declared}

    assert sorted(one for one in declared if not reasons[one]) == sorted(listed)
    assert {word for words in reasons.values() for word in words} == NOT_TYPED.keys()


def postgres_variables(dumps) -> dict[str, str]:
    words = conninfo_to_dict(dumps.server.dsn("postgres", DATABASE))
    names = {"PGHOST": "host", "PGPORT": "port", "PGUSER": "user", "PGPASSWORD": "password"}
    return {variable: str(words[word]) for variable, word in names.items()}


def folder_of(dumps) -> str:
    return str(Path(dumps.programs.program("pg_restore")).parent)


@pytest.mark.parametrize("command", OF_FILES)
def test_command_about_a_file_works_as_printed(dumps, tmp_path, command):
    file = tmp_path / "of today.dump"
    file.write_bytes(dumps.custom)

    output = typed(command, {"file": str(file), "folder": str(tmp_path)}, {}, path=folder_of(dumps))

    assert OF_FILES[command] in output


@pytest.mark.parametrize("packer", PACKINGS)
def test_end_of_a_packed_file_is_shown_as_printed(dumps, tmp_path, packer):
    file = tmp_path / "of today.sql"
    file.write_bytes(PACKINGS[packer](dumps.plain))

    assert "dump complete" in typed(f"{packer} -dc {{{{ file }}}}{END}", {"file": str(file)}, {})


@pytest.mark.parametrize("command", [*NEW_DUMPS, *PACKED_DUMPS])
def test_new_dump_is_made_as_printed(dumps, tmp_path, command):
    new = tmp_path / "a new one.dump"
    facts = {"new_dump": str(new), "database": DATABASE}
    command = command.replace('"$DATABASE"', DATABASE)  # which the person fills in

    typed(command, facts, postgres_variables(dumps), path=folder_of(dumps), interpreter="bash")

    assert new.stat().st_size > 1000
    assert [new] == list(tmp_path.iterdir())


def test_question_of_a_drill_is_put_as_printed(dumps):
    facts = {"question": "SELECT count(*) AS orders FROM orders"}
    command = QUESTION.replace("by_hand ", f"{DATABASE} ")  # the person's own database

    output = typed(command, facts, postgres_variables(dumps), path=folder_of(dumps))

    assert "orders" in output
    assert "4000" in output


@pytest.mark.parametrize("command", REPLICAS)
def test_command_about_a_replica_works_as_printed(dumps, command):
    dsn = dumps.server.dsn("postgres")
    facts = {"dsn": dsn, "missing": "standby_1", "replica": "standby_1"}

    assert "(0 rows)" in typed(command, facts, {"DATABASE_URL": dsn}, path=folder_of(dumps))


class Store:
    """A bucket, and the program `aws` with its credentials."""

    def __init__(self, place: BucketPlace, program: Path, folder: Path) -> None:
        self.place, self.folder = place, folder
        self.path = str(program.parent)
        target = S3Target(kind="s3", bucket=place.bucket, endpoint_url=place.variables["AWS_ENDPOINT_URL"])
        address = f"s3://{place.bucket}"
        named = {"location": f"{address}/db/", "url": f"{address}/{KEY}", "key": KEY, "published": f"{address}/new"}
        self.facts = {**target.facts(), **named}

    def typed(self, command: str, facts: Mapping[str, object], path: str = "") -> str:
        variables = {**self.place.variables, "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
        path = f"{self.path}:{path}"
        return typed(command, {**self.facts, **facts}, variables, path=path, interpreter="bash", folder=self.folder)


@pytest.fixture(name="at_moto")
def _at_moto(moto_bucket, aws_program, tmp_path) -> Store:
    return Store(moto_bucket, aws_program, tmp_path)


@pytest.fixture(name="at_rclone")
def _at_rclone(open_bucket, aws_program, tmp_path) -> Store:
    return Store(open_bucket("rclone"), aws_program, tmp_path)


@pytest.mark.parametrize("command", of_buckets(OF_OBJECTS))
def test_command_about_an_object_works_as_printed(at_rclone, dumps, command):
    at_rclone.place.put(KEY, dumps.custom)

    assert of_buckets(OF_OBJECTS)[command] in at_rclone.typed(command, {}, folder_of(dumps))


@pytest.mark.parametrize("packer", PACKINGS)
def test_end_of_a_packed_object_is_shown_as_printed(at_rclone, dumps, packer):
    at_rclone.place.put(KEY, PACKINGS[packer](dumps.plain))

    assert "dump complete" in at_rclone.typed(f"{AWS}s3 cp {{{{ url }}}} - | {packer} -dc{END}", {})


@pytest.mark.parametrize("command", of_buckets(OF_BUCKETS))
def test_command_about_a_bucket_works_as_printed(at_moto, command):
    facts = prepared(at_moto.place, command)
    (at_moto.folder / "new.dump").write_bytes(b"PGDMP")

    output = at_moto.typed(command, facts | {"new_dump": "new.dump"})

    assert of_buckets(OF_BUCKETS)[command] in output
    if "rules.json" in command:
        rules = json.loads((at_moto.folder / "rules.json").read_text())
        assert [rule["ID"] for rule in rules["Rules"]] == ["old"]


def prepared(place: BucketPlace, command: str) -> dict[str, str]:
    """The state that the command is for, and the facts that it yields."""
    client, bucket = place.client, place.bucket
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    client.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    if "object-lock" in command or "replication" in command or "versions" in command:
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    if "get-bucket-replication" in command:
        rule = {"ID": "all", "Status": "Enabled", "Destination": {"Bucket": "arn:aws:s3:::copies"}, "Priority": 1}
        rules = {"Role": "arn:aws:iam::123456789012:role/copy", "Rules": [rule | {"Filter": {"Prefix": ""}}]}
        boto3.client("s3").create_bucket(Bucket="copies")
        client.put_bucket_replication(Bucket=bucket, ReplicationConfiguration=rules)
    if "object-lock" in command:
        return {}  # moto locks empty buckets only
    old = {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 30}}
    client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [old]})
    client.put_object(Bucket=bucket, Key=KEY, Body=b"x", StorageClass="GLACIER")
    if "versions" in command:
        client.delete_object(Bucket=bucket, Key=KEY)
    return {"upload_id": client.create_multipart_upload(Bucket=bucket, Key=KEY)["UploadId"]}
