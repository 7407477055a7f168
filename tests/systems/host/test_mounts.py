"""The mounts that hold data."""

import pytest

from opscheck.systems.host.mounts import Mount, data_mounts


def mount(place, source="/dev/sda1", kind="ext4", options=("rw",)) -> Mount:
    return Mount(source=source, place=place, type=kind, options=options)


def places(*mounts) -> list[str]:
    return [one.place for one in data_mounts(mounts)]


def test_disks_and_shares_are_sorted_by_place():
    found = places(
        mount("/srv", "nas:/srv", "nfs4"), mount("/"), mount("/boot/efi", "/dev/sda2", "vfat"), mount("/a", "/dev/b")
    )

    assert found == ["/", "/a", "/boot/efi", "/srv"]


@pytest.mark.parametrize(
    ("source", "kind", "place"),
    [
        ("tmpfs", "tmpfs", "/data"),
        ("overlay", "overlay", "/"),
        ("proc", "proc", "/proc"),
        ("cgroup2", "cgroup2", "/sys/fs/cgroup"),
        ("/dev/loop3", "squashfs", "/snap/core22/1"),
        ("/dev/loop4", "squashfs", "/opt/image"),
        ("/dev/sr0", "iso9660", "/cdrom"),
        ("s3fs", "fuse.s3fs", "/bucket"),
    ],
)
def test_mount_without_a_disk_of_its_own_is_left_out(source, kind, place):
    assert places(mount(place, source, kind)) == []


@pytest.mark.parametrize(
    "place",
    [
        "/run/media/usb",
        "/var/lib/docker/volumes/a/_data",
        "/var/lib/kubelet/pods/3f2a/volumes/x",
        "/etc/hosts",
        "/snap",
    ],
)
def test_mount_of_a_tool_is_left_out(place):
    assert places(mount(place)) == []


def test_read_only_mount_cannot_fill():
    assert places(mount("/usr", options=("ro", "relatime"))) == []


def test_bind_mounts_of_one_disk_are_one():
    assert places(mount("/srv/www"), mount("/"), mount("/home")) == ["/"]


def test_data_sets_of_one_pool_are_one():
    found = places(mount("/tank/a", "tank/a", "zfs"), mount("/tank", "tank", "zfs"), mount("/other", "other/x", "zfs"))

    assert found == ["/other", "/tank"]


def test_last_of_several_mounts_at_one_place_is_in_use():
    assert places(mount("/data"), mount("/data", "tmpfs", "tmpfs")) == []
