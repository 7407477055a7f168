"""Where backups are, as a person finds them and as commands name them."""

from opscheck.systems.backup.expectations.buckets import named
from opscheck.systems.stores.target import StoreTarget

__all__ = ["address_of", "named"]


def address_of(target: StoreTarget, key: str) -> str:
    """The key with its store: `s3://bucket/key`, `/mnt/backups/key`."""
    return f"{target.address.rstrip('/')}/{key}"
