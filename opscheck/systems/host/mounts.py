"""The mounts of a host: the query, its answer, and those of them that hold data."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

import msgspec

from opscheck.core.query import Query


class Mount(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table of mounts."""

    source: str
    """The device or share."""
    place: str
    """The directory."""
    type: str
    """ext4, xfs, nfs4, …"""
    options: tuple[str, ...] = ()


class MountTable(msgspec.Struct, frozen=True, kw_only=True):
    """Every mount, in the order of the kernel: of several at one place the last one is in use."""

    mounts: tuple[Mount, ...] = ()


@dataclass(frozen=True)
class ListMounts(Query[MountTable], name="host.mounts"):
    """The directories that something is mounted on; files that are mounted, as in containers, are left out."""

    def text(self) -> str:
        """For people."""
        return "list the mounts"


# A container's root, memory, images and the kernel's own views are missing here: none of them is a disk.
_OF_SEVERAL_DEVICES = frozenset({"btrfs", "zfs", "bcachefs"})
_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "ceph", "fuse.glusterfs", "gpfs", "lustre", "ocfs2", "gfs2"})
_IMAGES = frozenset({"squashfs", "iso9660", "udf", "erofs", "cramfs"})
# Tools mount here under names that change by themselves, or bind what is mounted elsewhere.
_OF_TOOLS = ("/dev", "/etc", "/media", "/proc", "/run", "/snap", "/sys", "/tmp", "/var/lib/containerd")  # noqa: S108
_OF_CONTAINERS = ("/var/lib/containers", "/var/lib/docker", "/var/lib/kubelet", "/var/snap")


def data_mounts(mounts: Iterable[Mount]) -> tuple[Mount, ...]:
    """The mounts of disks and shares that can be written, one of each, by their places."""
    on_top = {one.place: one for one in mounts}
    found: dict[str, Mount] = {}
    for one in sorted(on_top.values(), key=lambda one: (len(one.place), one.place)):
        if _holds_data(one):
            # Bind mounts, subvolumes and the file systems of one pool share their space.
            found.setdefault(one.source.partition("/")[0] if one.type == "zfs" else one.source, one)
    return tuple(sorted(found.values(), key=lambda one: one.place))


def _holds_data(mount: Mount) -> bool:
    is_disk = mount.source.startswith("/dev/") and mount.type not in _IMAGES
    known = is_disk or mount.type in _NETWORK | _OF_SEVERAL_DEVICES
    place = PurePosixPath(mount.place)
    of_tool = any(place.is_relative_to(folder) for folder in (*_OF_TOOLS, *_OF_CONTAINERS))
    return known and not of_tool and "ro" not in mount.options
