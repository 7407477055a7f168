"""Backups: objects in a store, their content, the jobs and tools that make them, archived WAL."""

from opscheck.bundle import bundled
from opscheck.core.system import System

SYSTEM = System(
    name="backup",
    expectations={
        "backup.bucket": "opscheck.systems.backup.expectations.bucket:BackupBucket",
        "backup.content": "opscheck.systems.backup.expectations.content:BackupContent",
        "backup.jobs": "opscheck.systems.backup.expectations.jobs:BackupJobs",
        "backup.objects": "opscheck.systems.backup.expectations.objects:BackupObjects",
        "backup.wal": "opscheck.systems.backup.expectations.wal:BackupWal",
    },
    checks=bundled("checks") / "backup",
    readers={
        "backup.barman": "opscheck.systems.backup.probe.tools:read_barman",
        "backup.pgbackrest": "opscheck.systems.backup.probe.tools:read_pgbackrest",
    },
)
