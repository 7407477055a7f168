"""The disks of a host."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.units import ByteSize, Graded, Percentage, format_bytes
from opscheck.systems.host.disk import CHECK_MOUNT, MAKE_ROOM, DiskAnswer, Filesystem, HostDisk


def test_the_disk_has_room(expectation: HostDisk, observe: Observe, findings: Findings) -> None:
    """
    The disk has room, for bytes and for files.

    A database that cannot write stops, and often does not start again before somebody makes room; without a free
    inode not even an empty file can be made. The last part may be root's alone: then it is full for everybody else.
    """
    answer = observe(expectation.disk)
    disk = answer.filesystem
    if disk is None or (expectation.mount_point and disk.mounted_on != answer.path):
        findings.add(
            subject=expectation.mount,
            observed=_content(answer),
            expected="a mount point" if expectation.mount_point else "a path that exists",
            remedies=(CHECK_MOUNT,),
        )
        return
    what = f"{disk.source} ({disk.type})" if disk.type else disk.source
    facts = {"source": disk.source, "filesystem": disk.type, "mounted_on": disk.mounted_on}
    for measure in _measures(expectation, disk):
        findings.grade(
            measure.name,
            measure.observed,
            measure.limit,
            subject=expectation.mount,
            detail=measure.detail,
            evidence=[f"{what} is mounted on {disk.mounted_on}" + (", read-only" if disk.read_only else "")],
            remedies=(MAKE_ROOM,),
            facts={name: value for name, value in facts.items() if value},
        )


def _content(answer: DiskAnswer) -> str:
    disk = answer.filesystem
    if disk is None:
        return "nothing is there"
    return f"no mount point: it lies on {disk.source}, which is mounted on {disk.mounted_on}"


class _Measure(NamedTuple):
    """One number about the fill level of a disk, and its limit."""

    name: str
    observed: float
    limit: Graded[Any] | None
    detail: str


def _measures(expectation: HostDisk, disk: Filesystem) -> Iterator[_Measure]:
    """Raises CouldNotObserve where a number with a limit does not exist."""
    total = disk.used + disk.available  # as df: without root's reserve
    if total == 0:
        text = f"{disk.mounted_on} is no disk: {disk.type or disk.source} has no size"
        raise _unsupported(expectation, text, "name the mount point of a disk")
    space = f"{format_bytes(disk.used)} of {format_bytes(total)}"
    yield _Measure("space used", Percentage(100.0 * disk.used / total), expectation.used, space)
    yield _Measure("space free", ByteSize(disk.available), expectation.free, f"{space} used")
    inodes = disk.inodes
    if inodes is None:
        if expectation.inodes is not None:
            raise _unsupported(expectation, "neither `stat -f` nor `df -i` counts inodes there", "install coreutils")
        return
    total = inodes.used + inodes.free
    used = Percentage(100.0 * inodes.used / total if inodes.limited else 0)
    detail = f"{inodes.used} of {total}" if inodes.limited else "made as they are needed"
    yield _Measure("inodes used", used, expectation.inodes, detail)


def _unsupported(expectation: HostDisk, text: str, advice: str) -> CouldNotObserve:
    return CouldNotObserve(expectation.disk, Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=advice))
