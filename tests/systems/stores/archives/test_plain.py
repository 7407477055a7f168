"""Plain dumps: where they begin, and whether they have their end."""

import pytest

from opscheck.systems.stores.archives.plain import PlainScan, has_footer, plain_format, versions
from opscheck.systems.stores.archives.stream import Broken
from tests.servers.dumps import SECRET

HEAD = b"--\n-- PostgreSQL database dump\n--\n\n-- Dumped from database version 15.18 (Debian 15)\n"
HEAD += b"-- Dumped by pg_dump version 17rc1\n\nSET statement_timeout = 0;\n"
FOOT = b"\n--\n-- PostgreSQL database dump complete\n--\n\n"
SINCE_AUGUST_2025 = FOOT + b"\\unrestrict Zkq0vVnYb2S8wuzVYx\n\n"
CLUSTER_HEAD = b"--\n-- PostgreSQL database cluster dump\n--\n\nSET client_encoding = 'UTF8';\n"
CLUSTER_FOOT = b"--\n-- PostgreSQL database cluster dump complete\n--\n\n"
ROWS = b"1\tone\n2\ttwo\n" * 20_000


def scan(dump: bytes, format_: str = "plain", size: int = 4096) -> None:
    judge = PlainScan(format_)
    for start in range(0, len(dump), size):
        judge.feed(dump[start : start + size])
    judge.end()


@pytest.mark.parametrize("size", [1, 37, 4096, 10**7])
@pytest.mark.parametrize("foot", [FOOT, SINCE_AUGUST_2025], ids=["before", "since August 2025"])
def test_a_dump_with_its_footer_is_whole(size, foot):
    scan(HEAD + ROWS[:2000] + foot, size=size)


@pytest.mark.parametrize("cut", [0.1, 0.6, 0.999])
def test_a_dump_that_is_cut_off_lacks_its_footer(cut):
    dump = HEAD + ROWS + FOOT

    with pytest.raises(Broken, match="it ends without `-- PostgreSQL database dump complete`") as raised:
        scan(dump[: int(len(dump) * cut)])

    assert raised.value.cut_off


def test_a_footer_that_is_only_begun_is_none():
    with pytest.raises(Broken):
        scan((HEAD + ROWS + FOOT)[:-12])


def test_lines_may_end_as_on_windows():
    assert has_footer((ROWS + SINCE_AUGUST_2025).replace(b"\n", b"\r\n"), "plain")


def test_a_footer_far_from_the_end_is_none():
    """Two dumps in one file, of which the last was cut off."""
    with pytest.raises(Broken, match="it ends without"):
        scan(HEAD + ROWS + FOOT + HEAD + ROWS)


@pytest.mark.parametrize("size", [1, 37, 4096, 10**7])
def test_a_dump_that_stops_before_the_next_one_begins_is_reported(size):
    """`for each in …; do pg_dump $each; done | gzip`, of which the first failed midway."""
    with pytest.raises(Broken, match="1 of the 3 dumps in it never ends") as raised:
        scan(HEAD + ROWS[:500] + FOOT + HEAD + ROWS[:500] + HEAD + ROWS[:500] + FOOT, size=size)

    assert raised.value.cut_off


def test_several_whole_dumps_are_whole():
    scan((HEAD + ROWS + SINCE_AUGUST_2025) * 3)


def test_a_dump_of_a_cluster_needs_the_footer_of_a_cluster():
    """It holds whole dumps of databases: cut off between two of them it ends as one of those does."""
    inside = CLUSTER_HEAD + HEAD + ROWS + FOOT

    scan(inside + HEAD + FOOT + CLUSTER_FOOT, "cluster")
    with pytest.raises(Broken, match="it ends without `-- PostgreSQL database cluster dump complete`"):
        scan(inside, "cluster")


def test_type_is_read_from_the_beginning():
    assert "plain" == plain_format(HEAD)
    assert "cluster" == plain_format(CLUSTER_HEAD + HEAD)
    assert "" == plain_format(b"INSERT INTO notes VALUES ('-- PostgreSQL database dump');")
    assert "" == plain_format(b"-- MySQL dump 10.13")


def test_versions_are_reported_without_their_packager():
    assert ("15.18", "17rc1") == versions(HEAD)
    assert ("", "") == versions(CLUSTER_HEAD)


@pytest.mark.parametrize("size", [997, 65536])
def test_a_real_dump_is_whole_and_cut_off_it_is_not(dumps, size):
    scan(dumps.plain, size=size)
    scan(dumps.cluster, "cluster", size)
    for cut in (0.3, 0.6, 0.99):
        with pytest.raises(Broken) as raised:
            scan(dumps.plain[: int(len(dumps.plain) * cut)], size=size)
        assert SECRET not in raised.value.text
