"""Where there is room on this machine."""

import os

from opscheck.demo.mounts import roomiest_mount


def test_chosen_mount_point_has_free_space():
    place = roomiest_mount()
    found = os.statvfs(place)

    assert os.path.ismount(place)
    assert (found.f_blocks - found.f_bfree) < 0.85 * found.f_blocks


def test_devices_and_read_only_mounts_are_not_chosen(tmp_path):
    table = tmp_path / "mounts"
    table.write_text(
        "dev /dev devtmpfs rw 0 0\nproc /proc proc rw 0 0\nrom /boot ext4 ro,relatime 0 0\nd / ext4 rw 0 0\n"
    )

    assert "/" == roomiest_mount(table)


def test_missing_mount_table_means_the_root(tmp_path):
    assert "/" == roomiest_mount(tmp_path / "none")
