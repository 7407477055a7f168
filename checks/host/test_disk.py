"""The disks of a host."""

from opscheck import Findings, Observe
from opscheck.systems.host.expectations import HostDisk
from opscheck.systems.host.readings import evidence, expected_disk, facts, rooms, what_is_there


def test_the_disk_has_room(expectation: HostDisk, observe: Observe, findings: Findings) -> None:
    """
    The disk has room, for bytes and for files.

    A database that cannot write stops, and often does not start again before somebody makes room; without a free
    inode not even an empty file can be made. The last part may be root's alone: then it is full for everybody else.
    """
    answer = observe(expectation.disk)
    disk = expected_disk(expectation, answer)
    if disk is None:
        findings.add(
            subject=expectation.mount,
            observed=what_is_there(answer),
            expected="a mount point" if expectation.mount_point else "a path that exists",
        )
        return
    for room in rooms(expectation, disk):
        findings.grade(
            room.name,
            room.observed,
            room.limit,
            subject=expectation.mount,
            detail=room.detail,
            evidence=evidence(disk),
            facts=facts(disk),
        )
