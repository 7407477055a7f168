"""Stores of backups: S3 buckets and folders."""

from opscheck.core.system import Client, Kind, System

SYSTEM = System(
    name="stores",
    kinds={
        "s3": Kind(
            target="opscheck.systems.stores.target:S3Target",
            probe="opscheck.systems.stores.probe.s3.session",
            permissions="opscheck.systems.stores.permissions",
            client=Client("opscheck[s3]", "boto3", "urllib3"),
        ),
        "folder": Kind(
            target="opscheck.systems.stores.target:FolderTarget",
            probe="opscheck.systems.stores.probe.folder",
        ),
    },
)
