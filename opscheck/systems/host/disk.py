"""Free space of a host's disk: query, answer and expectation of `host.disk`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import msgspec

from opscheck.core.expectation import Expectation
from opscheck.core.field_types import BytesLeft, ShareUsed, only
from opscheck.core.query import Query
from opscheck.core.remedy import Remedy
from opscheck.systems.host.target import HostTarget


class Inodes(msgspec.Struct, frozen=True, kw_only=True):
    """Used and free inodes of a filesystem; both 0 where it creates inodes on demand."""

    used: int
    free: int

    @property
    def limited(self) -> bool:
        """False for btrfs, vfat and many network filesystems: they cannot run out of inodes."""
        return self.used + self.free > 0


class Filesystem(msgspec.Struct, frozen=True, kw_only=True):
    """One mounted filesystem, as df reports it. Sizes are in bytes."""

    mounted_on: str
    source: str
    """The device, or the name in its place."""
    type: str
    """ext4, xfs, nfs4, …; empty where it is unknown."""
    read_only: bool
    size: int
    """Including the part that only root may use."""
    used: int
    available: int
    """Free space for users other than root; smaller than `size - used` where root has a reserve."""
    inodes: Inodes | None
    """None where the host has no command that reports them."""


class DiskAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The filesystem that holds a path."""

    path: str
    """The path with its symbolic links resolved."""
    filesystem: Filesystem | None
    """None when the path does not exist."""


@dataclass(frozen=True)
class DiskUse(Query[DiskAnswer], name="host.disk"):
    """The used and free space of the filesystem that holds `mount`."""

    mount: str


_SHOW = "df -h {{ mount }}; df -i {{ mount }}"
CHECK_MOUNT = Remedy("On that host: check that the disk is mounted", _SHOW)
MAKE_ROOM = Remedy(
    "On that host: find the files that grew; remove or rotate them, or enlarge the disk",
    _SHOW,
    "du -xk {{ mounted_on }} | sort -n | tail -20",
    "find {{ mounted_on }} -xdev -type f -size +100000k -exec ls -l {} +",
)


_ABSOLUTE = only(
    lambda path: path.startswith("/") and "\0" not in path,
    "path_not_absolute",
    "an absolute path, such as /var/lib/postgresql",
)


class HostDisk(Expectation, check="host.disk"):
    """
    The mount has free space and free inodes.

    The reserve for root counts as used: other users cannot write there. A missing path violates this expectation, and
    so does a path on another filesystem where a mount is expected: numbers of the wrong disk would look healthy. A
    filesystem that creates inodes on demand cannot run out of them.
    """

    any_limit_of = ("used", "inodes", "free")
    remedies = (CHECK_MOUNT, MAKE_ROOM)
    fact_names: ClassVar[Mapping[str, str]] = {
        "source": "the mounted device or share",
        "filesystem": "its type, such as ext4",
        "mounted_on": "the mount point of the filesystem with the path",
    }

    target: HostTarget
    mount: Annotated[str, _ABSOLUTE]
    """The mount point of the disk on the host."""
    used: ShareUsed | None = None
    """Maximum used space, in percent, as df reports it."""
    inodes: ShareUsed | None = None
    """Maximum used inodes, in percent."""
    free: BytesLeft | None = None
    """Minimum free space for users other than root."""
    mount_point: bool = True
    """True: `mount` must be a mount point. False: any path on a filesystem."""

    def queries(self) -> Iterable[Query[Any]]:
        """The state of that filesystem."""
        return (self.disk,)

    @property
    def disk(self) -> DiskUse:
        """The query it is judged by."""
        return DiskUse(self.target.name, mount=self.mount)
