"""Unpacking in a stream: whole, cut off, damaged, followed by something, and far too large."""

import functools
import io
import random
import struct
import tracemalloc
from contextlib import suppress

import lz4.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opscheck.systems.stores.archives.compression import (
    BZIP2,
    COMPRESSIONS,
    GZIP,
    LZ4,
    XZ,
    ZSTD,
    compression_of,
    decompressed,
    decompressed_head,
)
from opscheck.systems.stores.archives.stream import PIECE, Broken, NeedsMore
from tests.servers.dumps import PACKINGS as PACKED
from tests.servers.dumps import zstd

BOMB = 64 * 2**20
DATA = random.Random(1).randbytes(200_000) + b"like a dump " * 200_000  # noqa: S311 - the same each time

each = pytest.mark.parametrize("packing", COMPRESSIONS, ids=lambda packing: packing.name)
CUT = {
    "its last byte": lambda packed: packed[:-1],
    "half": lambda packed: packed[: len(packed) // 2],
    "all but its magic number": lambda packed: packed[:4],
    "all": lambda _: b"",
    "half of a second member": lambda packed: packed + packed[: len(packed) // 2],
}


@functools.cache
def packed_data(packing: str) -> bytes:
    """DATA, packed once: bzip2 takes half a second."""
    return PACKED[packing](DATA)


def in_pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def all_of(packed: bytes, packing, size: int = 65536) -> bytes:
    return b"".join(decompressed(in_pieces(packed, size), packing))


@each
@pytest.mark.parametrize("size", [1009, 65536, 10**9])
def test_compressed_data_is_unpacked_from_pieces_of_any_size(packing, size):
    assert DATA == all_of(packed_data(packing.name), packing, size)


@each
def test_it_is_known_by_its_first_bytes(packing):
    assert packing == compression_of(packed_data(packing.name)[:10])
    assert compression_of(DATA[:10]) is None


@each
def test_nothing_packed_unpacks_to_nothing(packing):
    assert b"" == all_of(PACKED[packing.name](b""), packing)


@each
def test_members_follow_each_other_and_zeros_follow_them(packing):
    """`cat one.gz two.gz` is one; and a tape or a disk fills up with zeros."""
    packed = packed_data(packing.name)

    assert DATA * 2 == all_of(packed + packed + bytes(5000), packing, 999)


@each
@pytest.mark.parametrize("what", CUT)
@pytest.mark.parametrize("size", [777, 10**9])
def test_truncated_data_is_reported_as_truncated(packing, what, size):
    with pytest.raises(Broken, match=f"{packing.name} data ends before its end") as raised:
        all_of(CUT[what](packed_data(packing.name)), packing, size)

    assert raised.value.cut_off


@each
def test_trailing_garbage_is_damage(packing):
    with pytest.raises(Broken, match=f"{packing.name} data is damaged") as raised:
        all_of(packed_data(packing.name) + b"and here is a log line", packing)

    assert not raised.value.cut_off


@pytest.mark.parametrize("packing", [GZIP, XZ, BZIP2], ids=lambda packing: packing.name)
def test_a_byte_that_changed_is_damage(packing):
    packed = bytearray(packed_data(packing.name))
    packed[len(packed) // 2] ^= 0xFF

    with pytest.raises(Broken, match="damaged"):
        all_of(bytes(packed), packing)


@pytest.mark.parametrize("packing", [ZSTD, LZ4], ids=lambda packing: packing.name)
def test_byte_that_changed_is_damage_where_the_packer_adds_a_checksum(packing):
    """As the programs do, and these libraries do only when asked."""
    with_checksum = {
        "zstd": lambda: zstd.compress(DATA, options={zstd.CompressionParameter.checksum_flag: 1}),
        "lz4": lambda: lz4.frame.compress(DATA, content_checksum=True),
    }
    packed = bytearray(with_checksum[packing.name]())
    packed[10_000] ^= 0xFF

    with pytest.raises(Broken, match="damaged"):
        all_of(bytes(packed), packing)


def test_frames_that_pzstd_writes_are_zstd():
    """Each has a frame before it that a reader passes over."""
    skipped = struct.pack("<II", 0x184D2A50, 4) + b"\x00\x01\x02\x03"
    packed = (skipped + zstd.compress(DATA)) * 2

    assert compression_of(packed) == ZSTD
    assert DATA * 2 == all_of(packed, ZSTD, 5000)


def test_a_window_that_takes_too_much_memory_is_not_a_damage():
    """`zstd --long=30`, which the zstd program itself does not unpack either unless it is told to."""
    options = {
        zstd.CompressionParameter.window_log: 30,
        zstd.CompressionParameter.enable_long_distance_matching: 1,
    }
    packed = io.BytesIO()
    with zstd.open(packed, "wb", options=options) as file:
        file.write(DATA)

    with pytest.raises(NeedsMore, match="this zstd takes too much memory"):
        all_of(packed.getvalue(), ZSTD)


@each
def test_a_bomb_comes_in_small_pieces(packing):
    """What is packed a thousand times smaller never stands in memory at once."""
    packed = PACKED[packing.name](bytes(BOMB))
    tracemalloc.start()
    try:
        sizes = [len(piece) for piece in decompressed([packed], packing)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert BOMB == sum(sizes)
    assert PIECE >= max(sizes)
    assert 20 * 2**20 > peak


def test_a_mebibyte_of_tiny_members_does_not_take_for_ever():
    """What is left of a piece after a member is copied."""
    packed = PACKED["gzip"](b"") * 50_000

    assert b"" == all_of(packed, GZIP, PIECE)


@each
def test_the_beginning_unpacks_as_far_as_it_goes(packing):
    packed = PACKED[packing.name](b"like a dump " * 200_000)

    assert (b"like a dump " * 1000)[:5000] == decompressed_head(packed[: len(packed) - 3], packing, 5000)
    assert b"" == decompressed_head(packed[:3], packing, 5000)


def test_the_beginning_of_what_is_damaged_is_none():
    with pytest.raises(Broken):
        decompressed_head(GZIP.magic + b"\xff" * 1000, GZIP, 5000)


@given(st.binary(max_size=200), st.sampled_from(COMPRESSIONS))
def test_nonsense_after_a_magic_number_raises_nothing_else(nonsense, packing):
    with suppress(Broken, NeedsMore):
        assert PIECE >= len(all_of(packing.magic + nonsense, packing))
