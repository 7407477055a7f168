"""Walking through a tar."""

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opscheck.systems.stores.archives.stream import Broken
from opscheck.systems.stores.archives.tar import BLOCK, TarWalk, is_tar, member_of


def made(*files: tuple[str, bytes], format_: int = tarfile.GNU_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format_) as tar:
        for name, content in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def walk(data: bytes, size: int = 700) -> int:
    judge = TarWalk()
    for start in range(0, len(data), size):
        judge.feed(data[start : start + size])
    judge.end()
    return judge.files


FILES = (("toc.dat", b"x" * 1000), ("empty", b""), ("a/" * 60 + "deep", b"y" * 512), ("large", b"z" * 5000))


@pytest.mark.parametrize("format_", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
@pytest.mark.parametrize("size", [1, 700, 10**6])
def test_a_whole_tar_is_whole(format_, size):
    data = made(*FILES, format_=format_)

    assert is_tar(data)
    assert len(FILES) <= walk(data, size)


def test_a_tar_that_is_cut_off_anywhere_is_reported():
    data = made(("one", b"x" * 1000), ("two", b"y" * 1500)).rstrip(b"\0") + bytes(BLOCK)
    whole_files = -(-len(data) // BLOCK) * BLOCK - BLOCK

    for length in range(1, whole_files, 37):
        with pytest.raises(Broken) as raised:
            walk(data[:length])
        assert raised.value.cut_off, length


def test_the_file_in_which_it_ends_is_counted():
    with pytest.raises(Broken, match="the last of 2 files in the tar is cut off"):
        walk(made(("one", b"x" * 1000), ("two", b"y" * 1500))[: 4 * BLOCK])


def test_a_tar_without_its_end_is_cut_off_between_two_files():
    with pytest.raises(Broken, match="the tar ends without its end, after 1 files"):
        walk(made(("one", b"x" * 512))[: 2 * BLOCK])


def test_a_header_that_changed_is_damage():
    data = bytearray(made(("one", b"x" * 512), ("two", b"y" * 512)))
    data[2 * BLOCK + 10] ^= 0xFF

    with pytest.raises(Broken, match="a tar header is damaged") as raised:
        walk(bytes(data))

    assert not raised.value.cut_off


def test_padding_after_the_end_is_none_of_its_files():
    """Tapes have blocks of 10 KiB, and what follows may be anything."""
    data = made(("one", b"x"))

    assert 1 == walk(data + bytes(20 * BLOCK))


def test_sizes_beyond_eight_gigabytes_are_read():
    header = tarfile.TarInfo("large")
    header.size = 20 * 2**30

    assert 20 * 2**30 == member_of(header.tobuf(tarfile.GNU_FORMAT)).size


@given(st.binary(min_size=BLOCK, max_size=3 * BLOCK))
def test_nonsense_is_not_a_tar(nonsense):
    assert not is_tar(nonsense)


def test_a_real_dump_in_tar_format_is_whole_and_cut_off_it_is_not(dumps):
    assert is_tar(dumps.tar)
    assert 3 <= walk(dumps.tar)
    for cut in (0.3, 0.6, 0.99):
        with pytest.raises(Broken):
            walk(dumps.tar[: int(len(dumps.tar) * cut)])
