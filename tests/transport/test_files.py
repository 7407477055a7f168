"""Files are written atomically."""

import os
import stat
import threading

import pytest

from opscheck.transport.files import write_whole


def test_file_is_written_with_missing_folders(tmp_path):
    write_whole(tmp_path / "new" / "run.json", b"{}", mode=0o600)

    assert b"{}" == (tmp_path / "new" / "run.json").read_bytes()
    assert 0o600 == stat.S_IMODE((tmp_path / "new" / "run.json").stat().st_mode)


def test_failed_write_leaves_no_file(tmp_path):
    (tmp_path / "run.json").mkdir()

    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path / "run.json", b"{}")

    assert ["run.json"] == [path.name for path in tmp_path.iterdir()]


def test_target_of_a_link_is_written(tmp_path):
    (tmp_path / "latest.json").symlink_to("run.json")

    write_whole(tmp_path / "latest.json", b"{}")

    assert (tmp_path / "latest.json").is_symlink()
    assert b"{}" == (tmp_path / "run.json").read_bytes()


def test_pipe_is_written_and_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()

    write_whole(pipe, b"{}")
    reader.join(timeout=10)

    assert [b"{}"] == read
    assert stat.S_ISFIFO(pipe.stat().st_mode)
