"""A time that is written into a file, and read elsewhere and later."""

from datetime import UTC, datetime


def timestamp(at: datetime) -> str:
    """`at` to the second in UTC, such as 2026-03-01T03:12:05Z."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
