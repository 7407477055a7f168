"""What a host's answers mean."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.units import ByteSize, Graded, Percentage, format_bytes
from opscheck.systems.host.expectations import HostDisk
from opscheck.systems.host.queries import DiskAnswer, Filesystem


@dataclass(frozen=True)
class Room:
    """One number that tells how full a disk is, and the limit it is held to."""

    name: str
    observed: float
    limit: Graded[Any] | None
    detail: str


def expected_disk(expectation: HostDisk, answer: DiskAnswer) -> Filesystem | None:
    """The filesystem to judge; None when nothing is at the path, or another disk than the one that is expected."""
    disk = answer.filesystem
    if disk is None or (expectation.mount_point and disk.mounted_on != answer.path):
        return None
    return disk


def what_is_there(answer: DiskAnswer) -> str:
    """What the path is, in words."""
    disk = answer.filesystem
    if disk is None:
        return "nothing is there"
    if disk.mounted_on == answer.path:
        return f"{disk.source} is mounted there"
    return f"no mount point: it lies on {disk.source}, which is mounted on {disk.mounted_on}"


def rooms(expectation: HostDisk, disk: Filesystem) -> Iterator[Room]:
    """
    How full the disk is, by each measure.

    Raises CouldNotObserve where a measure that is to be judged does not exist.
    """
    all_space = disk.used + disk.available
    space = f"{format_bytes(disk.used)} of {format_bytes(all_space)}"
    yield Room("space used", _space_used(expectation, disk), expectation.used, space)
    yield Room("space free", ByteSize(disk.available), expectation.free, f"{space} used")
    inodes = disk.inodes
    if inodes is None:
        if expectation.inodes is not None:
            raise _unsupported(expectation, "neither `stat -f` nor `df -i` counts inodes there", "install coreutils")
    elif inodes.limited:
        total = inodes.used + inodes.free
        yield Room(
            "inodes used", Percentage(100.0 * inodes.used / total), expectation.inodes, f"{inodes.used} of {total}"
        )
    else:
        yield Room("inodes used", Percentage(0), expectation.inodes, "made as they are needed")


def evidence(disk: Filesystem) -> list[str]:
    """Which disk it is."""
    what = f"{disk.source} ({disk.type})" if disk.type else disk.source
    return [f"{what} is mounted on {disk.mounted_on}" + (", read-only" if disk.read_only else "")]


def facts(disk: Filesystem) -> dict[str, str]:
    """What remediation commands may name."""
    known = {"source": disk.source, "filesystem": disk.type, "mounted_on": disk.mounted_on}
    return {name: value for name, value in known.items() if value}


def _space_used(expectation: HostDisk, disk: Filesystem) -> Percentage:
    """In df's sense: of what everybody but root can have."""
    if disk.used + disk.available == 0:
        text = f"{disk.mounted_on} is no disk: {disk.type or disk.source} has no size"
        raise _unsupported(expectation, text, "name the mount point of a disk")
    return Percentage(100.0 * disk.used / (disk.used + disk.available))


def _unsupported(expectation: HostDisk, text: str, advice: str) -> CouldNotObserve:
    return CouldNotObserve(expectation.disk, Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=advice))
