"""The S3 server."""

import boto3

from opscheck.demo.s3 import BUCKET, S3
from opscheck.processes import accepts


def test_its_bucket_holds_last_nights_backup_and_afterwards_nothing_is_left():
    with S3() as server:
        client = boto3.client(
            "s3",
            endpoint_url=server.url,
            aws_access_key_id=server.access_key,
            aws_secret_access_key=server.secret_key,
            region_name="us-east-1",
        )
        (found,) = client.list_objects_v2(Bucket=BUCKET, Prefix="database/")["Contents"]
        client.close()

    assert found["Key"].startswith("database/backup-")
    assert found["Size"] > 0
    assert not accepts(server.port)
