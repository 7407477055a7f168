"""Valid and invalid expectations of disks."""

import pytest
from pydantic import ValidationError

from opscheck import HostTarget
from opscheck.systems.host.disk import DiskUse, HostDisk
from opscheck.testing import expect

TARGET = HostTarget(kind="host", uri="local://")


def disk(**fields) -> HostDisk:
    return expect(HostDisk, TARGET, **({"mount": "/data"} | fields))


def test_a_limit_is_needed():
    with pytest.raises(ValidationError, match=r"at least one limit \(used, inodes, free\)"):
        disk(severity="P1")


@pytest.mark.parametrize("field", ["used", "inodes"])
def test_share_of_100_percent_is_rejected_as_a_limit(field):
    with pytest.raises(ValidationError, match="a percentage below 100%"):
        disk(**{field: {"P0": "100%"}})


def test_size_of_0_is_rejected_as_a_limit():
    with pytest.raises(ValidationError, match="more than 0"):
        disk(free={"P0": "0B"})


@pytest.mark.parametrize("mount", ["data", "", "~/data", "-i", "/da\0ta"])
def test_a_mount_is_an_absolute_path(mount):
    with pytest.raises(ValidationError, match="an absolute path"):
        disk(mount=mount, used={"P0": "95%"})


def test_something_must_be_mounted_there_by_default():
    assert disk(used={"P0": "95%"}).mount_point


def test_expectations_about_one_disk_share_a_query():
    first, second = disk(used={"P0": "95%"}), disk(free={"P1": "20GB"})

    assert (DiskUse("target", mount="/data"),) == first.queries() == second.queries()
