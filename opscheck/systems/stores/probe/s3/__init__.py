"""Asks S3 and stores that speak its protocol: one bucket, over its objects and its configuration."""

from opscheck.systems.stores.probe.s3.session import open_session

__all__ = ["open_session"]
