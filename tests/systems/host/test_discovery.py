"""What `opscheck init` proposes for the disks of this machine."""

import pytest

from opscheck.core.discovery import DiscoveryInput
from opscheck.core.observation import Problem, ProblemKind
from opscheck.systems.host.discovery import discover
from opscheck.systems.host.disk import DiskAnswer, DiskUse, Filesystem, Inodes
from opscheck.systems.host.mounts import ListMounts, Mount, MountTable
from opscheck.testing import NOON, Answers
from tests.servers.discovering import TODAY, discovered

HERE = ListMounts("this-host")
ROOT = Mount(source="/dev/sda1", place="/", type="ext4")
DATA = Mount(source="/dev/sdb", place="/var/lib/postgresql", type="xfs")


def disk(mount, used=40, inodes=Inodes(used=1, free=99)):  # noqa: B008 - it is frozen
    found = Filesystem(
        mounted_on=mount.place,
        source=mount.source,
        type=mount.type,
        read_only=False,
        size=100 * 2**30,
        used=used * 2**30,
        available=(100 - used) * 2**30,
        inodes=inodes,
    )
    return {DiskUse("this-host", mount.place): DiskAnswer(path=mount.place, filesystem=found)}


def found(answers, *mounts):
    """What is proposed where these are the mounts."""
    every = {HERE: MountTable(mounts=mounts)} | answers
    return discover(DiscoveryInput(host=True, today=TODAY), lambda _target, _queries: Answers(every, NOON))


def test_each_disk_has_default_limits_and_its_use_in_the_reason():
    root, data = found(disk(ROOT) | disk(DATA, used=97), ROOT, DATA).proposals

    assert (root.id, root.check, root.selector) == ("disk-root", "host.disk", {"mount": "/"})
    assert data.id == "disk-var-lib-postgresql"
    assert root.fields == data.fields == {"used": {"P2": "85%", "P0": "95%"}, "inodes": {"P2": "85%", "P0": "95%"}}
    assert data.reason.startswith("/dev/sdb (xfs), 97% of 107GB used. ")


def test_disk_without_inodes_of_its_own_has_no_limit_for_them():
    (root,) = found(disk(ROOT, inodes=Inodes(used=0, free=0)), ROOT).proposals

    assert "inodes" not in root.fields


def test_disk_that_does_not_answer_is_proposed_and_reported():
    problem = Problem(kind=ProblemKind.LATE, text="/ did not answer in 4 s")
    result = found({DiskUse("this-host", "/"): problem}, ROOT)

    assert [one.id for one in result.proposals] == ["disk-root"]
    assert result.not_seen == ("this-host: /: / did not answer in 4 s",)


def test_machine_without_a_disk_is_reported():
    assert found({}).not_seen == ("this-host: no disk is mounted, as in a container",)


def test_unreadable_table_is_reported():
    problem = Problem(kind=ProblemKind.UNSUPPORTED, text="/proc/mounts cannot be read there")
    result = discover(DiscoveryInput(host=True, today=TODAY), lambda _target, _queries: Answers({HERE: problem}, NOON))

    assert (result.targets, result.not_seen) == (
        (),
        ("this-host: the mounts not read: /proc/mounts cannot be read there",),
    )


def test_nothing_is_looked_at_unless_this_machine_is_chosen():
    assert discovered("host").not_seen == ()


def test_disks_of_this_machine_are_found():
    result = discovered("host", host=True)

    assert result.proposals or result.not_seen == ("this-host: no disk is mounted, as in a container",)
    assert all(one.selector["mount"].startswith("/") for one in result.proposals)


@pytest.mark.parametrize("place", ["/proc", "/sys", "/dev"])
def test_views_of_the_kernel_are_not_proposed(place):
    assert place not in [one.selector["mount"] for one in discovered("host", host=True).proposals]
