"""The disks of a host."""

from functools import partial

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.units import ByteSize, Percentage, format_bytes
from opscheck.systems.host.disk import CHECK_MOUNT, MAKE_ROOM, Filesystem, HostDisk


def test_the_disk_has_room(expectation: HostDisk, observe: Observe, findings: Findings) -> None:
    """
    The mount has free space and free inodes.

    A database that cannot write stops, and often does not start again until space is freed. Without a free inode no
    file can be created. Only root can use the reserved part: for other users the disk is then full.
    """
    answer = observe(expectation.disk)
    disk = answer.filesystem
    if disk is None or (expectation.mount_point and disk.mounted_on != answer.path):
        observed = "path not found"
        if disk is not None:
            observed = f"not a mount point: {disk.source}, mounted on {disk.mounted_on}"
        expected = "a mount point" if expectation.mount_point else "an existing path"
        findings.add(subject=expectation.mount, observed=observed, expected=expected, remedies=(CHECK_MOUNT,))
        return
    facts = {"source": disk.source, "filesystem": disk.type, "mounted_on": disk.mounted_on}
    here = findings.on(expectation.mount, **{name: value for name, value in facts.items() if value})
    _judge_room(expectation, disk, here)


def _judge_room(expectation: HostDisk, disk: Filesystem, findings: Findings) -> None:
    """Judge space and inodes. Raises CouldNotObserve where a number with a limit is missing."""
    total = disk.used + disk.available  # as df: without root's reserve
    if total == 0:
        text = f"{disk.mounted_on} is not a disk: {disk.type or disk.source} has no size"
        raise _unsupported(expectation, text, "set `mount` to the mount point of a disk")
    what = f"{disk.source} ({disk.type})" if disk.type else disk.source
    evidence = [f"{what} is mounted on {disk.mounted_on}" + (", read-only" if disk.read_only else "")]
    grade = partial(findings.grade, evidence=evidence, remedies=(MAKE_ROOM,))
    space = f"{format_bytes(disk.used)} of {format_bytes(total)}"
    grade("space used", Percentage(100.0 * disk.used / total), expectation.used, detail=space)
    grade("space free", ByteSize(disk.available), expectation.free, detail=f"{space} used")
    if (inodes := disk.inodes) is not None:
        all_inodes = inodes.used + inodes.free
        used = Percentage(100.0 * inodes.used / all_inodes if inodes.limited else 0)
        detail = f"{inodes.used} of {all_inodes}" if inodes.limited else "created on demand"
        grade("inodes used", used, expectation.inodes, detail=detail)
    elif expectation.inodes is not None:
        raise _unsupported(expectation, "neither `stat -f` nor `df -i` reports inodes there", "install coreutils")


def _unsupported(expectation: HostDisk, text: str, advice: str) -> CouldNotObserve:
    return CouldNotObserve(expectation.disk, Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=advice))
