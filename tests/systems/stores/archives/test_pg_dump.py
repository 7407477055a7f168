"""The header of an archive of pg_dump."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opscheck.systems.stores.archives.pg_dump import MAGIC, READ_SINCE, header_of
from opscheck.systems.stores.archives.stream import Broken
from tests.servers.dumps import DATABASE, dumpers, dumps_of


def number(value: int, size: int = 4) -> bytes:
    return bytes([value < 0]) + abs(value).to_bytes(size, "little")


def text(value: str | None) -> bytes:
    return number(-1) if value is None else number(len(value.encode())) + value.encode()


def header(version: tuple[int, int], compression: bytes, *, database: str | None = "orders") -> bytes:
    moment = b"".join(number(part) for part in (5, 30, 2, 28, 1, 124, 0))
    names = text(database) + text("13.4 (Debian 13.4-0+deb11u1)") + text("15.2")
    return MAGIC + bytes([*version, 0, 4, 8, 1]) + compression + moment + names


@pytest.mark.parametrize(
    ("version", "compression", "needs"),
    [
        ((1, 13), number(-1), 10),
        ((1, 14), number(0), 12),
        ((1, 15), b"\x02", 16),
        ((1, 16), b"\x03", 17),
        ((1, 99), b"\x09", 0),
    ],
)
def test_each_version_of_the_format_is_read(version, compression, needs):
    found = header_of(header(version, compression))

    assert ".".join(map(str, version)) == found.archive_version
    assert needs == READ_SINCE.get(found.archive_version, 0)
    assert ("orders", "13.4", "15.2") == (found.database, found.dumped_from, found.dumped_by)
    assert datetime(2024, 2, 28, 2, 30, 5) == found.made_at  # noqa: DTZ001 - it tells no zone


def test_a_text_that_is_not_there_is_empty():
    assert "" == header_of(header((1, 16), b"\x00", database=None)).database


def test_a_header_that_is_cut_off_anywhere_is_reported():
    whole = header((1, 16), b"\x01")

    for length in range(len(whole)):
        with pytest.raises(Broken):
            header_of(whole[:length])


@given(st.binary(max_size=100))
def test_nonsense_after_the_magic_number_raises_nothing_else(nonsense):
    with suppress(Broken):
        assert (1, 10) <= tuple(map(int, header_of(MAGIC + nonsense).archive_version.split(".")))


def test_a_real_header_says_who_made_it_of_what_and_when(dumps):
    found = header_of(dumps.custom)

    assert DATABASE == found.database
    assert dumps.server.version == found.dumped_from
    assert dumps.programs.version == found.dumped_by
    assert dumps.programs.major >= READ_SINCE[found.archive_version]
    assert found.made_at is not None
    assert timedelta(hours=1) > datetime.now(UTC) - found.made_at.replace(tzinfo=UTC)


def test_each_pg_dump_of_this_machine_writes_what_is_known_here(dumps):
    for one in dumpers(dumps.server.major):
        found = header_of(dumps_of(dumps.server, one).custom)

        assert one.version == found.dumped_by
        assert one.major >= READ_SINCE[found.archive_version]
