"""Backups: objects in a store, their content, the jobs and tools that make them, archived WAL."""

import sys

from opscheck.bundle import bundled
from opscheck.core.system import Client, System

UNPACKERS = ("isal", "lz4", *(("backports.zstd",) if sys.version_info < (3, 14) else ()))
"""The libraries that decompress backups, in addition to Python's own modules."""

SYSTEM = System(
    name="backup",
    expectations={
        "backup.bucket": "opscheck.systems.backup.bucket:BackupBucket",
        "backup.content": "opscheck.systems.backup.content:BackupContent",
        "backup.jobs": "opscheck.systems.backup.jobs:BackupJobs",
        "backup.objects": "opscheck.systems.backup.objects:BackupObjects",
        "backup.wal": "opscheck.systems.backup.wal:BackupWal",
    },
    clients={"backup.content": Client("opscheck[backup]", *UNPACKERS)},
    checks=bundled("checks") / "backup",
    discover="opscheck.systems.backup.discovery:discover",
    readers={
        "backup.barman": "opscheck.systems.backup.probe:read_barman",
        "backup.pgbackrest": "opscheck.systems.backup.probe:read_pgbackrest",
    },
)
