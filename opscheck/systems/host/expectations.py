"""The expectations of hosts."""

from opscheck.systems.host import disk

__all__ = ["disk"]
