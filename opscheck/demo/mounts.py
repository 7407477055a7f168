"""A place on this machine that has room, for a check of disk space that has to pass."""

import os
from pathlib import Path

# Devices and the kernel's file systems contain no data of users.
_NO_DATA = frozenset({"devtmpfs", "proc", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2", "squashfs", "ramfs"})


def roomiest_mount(table: Path = Path("/proc/self/mounts")) -> str:
    """The mount point with the smallest share of its blocks and inodes in use; `/` if unknown."""
    try:
        lines = table.read_text().splitlines()
    except OSError:  # not Linux
        return "/"
    places = [fields[1] for line in lines if _holds_data(fields := line.split())]
    shares = {place: share for place in places if (share := _used(place)) is not None}
    return min(shares, key=lambda place: (shares[place], place), default="/")


def _holds_data(fields: list[str]) -> bool:
    _, place, kind, options, *_ = fields
    hidden = place.startswith(("/proc", "/sys", "/run")) or "\\" in place
    return kind not in _NO_DATA and "ro" not in options.split(",") and not hidden


def _used(place: str) -> float | None:
    """The share as df computes it, used / (used + available), of blocks or of inodes if that is more."""
    try:
        found = os.statvfs(place)
    except OSError:
        return None
    blocks = _share(found.f_blocks - found.f_bfree, found.f_bavail)
    inodes = _share(found.f_files - found.f_ffree, found.f_favail)
    return None if blocks is None or inodes is None else max(blocks, inodes)


def _share(used: int, available: int) -> float | None:
    return used / (used + available) if used + available else None
