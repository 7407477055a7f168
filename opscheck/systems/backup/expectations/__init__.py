"""What can be expected of backups, a module per field of work."""

from opscheck.systems.backup.expectations import bucket, content, jobs, objects, wal

# To import this package makes all of them known under the names of their checks.
__all__ = ["bucket", "content", "jobs", "objects", "wal"]
