"""Questions to a machine, container or pod, and the shapes of their answers."""

from dataclasses import dataclass

import msgspec

from opscheck.core.query import Query


class Inodes(msgspec.Struct, frozen=True, kw_only=True):
    """How many files a filesystem holds, and how many more it can; both 0 where it makes inodes as it needs them."""

    used: int
    free: int

    @property
    def limited(self) -> bool:
        """False for btrfs, vfat and many network filesystems: they cannot run out of inodes."""
        return self.used + self.free > 0


class Filesystem(msgspec.Struct, frozen=True, kw_only=True):
    """One mounted filesystem, as df sees it. Sizes are in bytes."""

    mounted_on: str
    source: str
    """The device, or what stands for it."""
    type: str
    """ext4, xfs, nfs4, …; empty where the host does not say."""
    read_only: bool
    size: int
    """With the part that only root may use."""
    used: int
    available: int
    """What is left for everybody but root; smaller than `size - used` where root has a reserve."""
    inodes: Inodes | None
    """None where the host has no command that tells."""


class DiskAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The filesystem that holds a path."""

    path: str
    """The path with its symbolic links resolved."""
    filesystem: Filesystem | None
    """None when there is nothing at that path."""


@dataclass(frozen=True)
class DiskUse(Query[DiskAnswer], name="host.disk"):
    """How full the filesystem is that holds `mount`."""

    mount: str


class Resolution(msgspec.Struct, frozen=True, kw_only=True):
    """What a name stands for, as programs on the host see it."""

    addresses: tuple[str, ...]
    """Each once; empty when the name could not be resolved."""
    tool: str
    """Who was asked: `getent`, which resolves as programs do, or `nslookup`, which asks DNS alone."""
    seconds: float | None
    """How long it took, to a hundredth; None where the host does not say."""
    stopped: bool = False
    """True when no answer came, and the question was given up."""
    said: str = ""
    """What nslookup says of a name that could not be resolved; getent never tells why."""
    control_resolved: bool | None = None
    """Whether the control was resolved then; None where it was not asked, since all was well."""


@dataclass(frozen=True)
class ResolveName(Query[Resolution], name="host.resolve"):
    """
    What `host_name` stands for there.

    Only when it cannot be resolved, `control` is tried too: a name that always exists, so that a name that is
    missing is told from a resolver that does not answer.
    """

    host_name: str
    control: str

    def text(self) -> str:
        """For people."""
        return f"resolve {self.host_name}"
