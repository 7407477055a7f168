"""What the ends of a backup tell, and what they leave untold."""

from functools import cache

import pytest

from opscheck.core.observation import Problem
from opscheck.systems.stores.content import ReadEnds
from opscheck.systems.stores.probe.head_and_tail import END
from tests.servers.dumps import DATABASE, PACKINGS, has
from tests.servers.s3 import FolderPlace
from tests.systems.stores.archives.test_tar import made
from tests.systems.stores.probe.reading import KEY, ends, flaws, tool

CUTS = (0.5, 0.9, 0.99)


@pytest.fixture(name="here")
def _here(tmp_path):
    return FolderPlace(tmp_path / "backups")


@cache
def large(dump: bytes) -> bytes:
    """The dump with so many rows before its end that its ends do not meet."""
    begin, _, end = dump.rpartition(b"\\.\n")
    rows = b"".join(b"%d\t%x\n" % (number, number**5) for number in range(200_000))
    return begin + rows + b"\\.\n" + end


@pytest.mark.parametrize("format_", ["plain", "custom", "tar", "cluster"])
def test_the_ends_of_a_whole_dump_have_no_flaw_in_any_store(store, dumps, format_):
    found = ends(store, dumps.each_format()[format_])

    assert (format_, (), "") == (found.format, found.flaws, found.unjudged)


def test_two_requests_of_64_kib_are_read_however_large_it_is(store, dumps):
    found = ends(store, large(dumps.plain))

    assert (False, 2 * END, ()) == (found.whole, found.read, found.flaws)


@pytest.mark.parametrize("cut", CUTS)
def test_plain_sql_that_is_cut_off_lacks_its_footer(here, dumps, cut):
    dump = large(dumps.plain)

    found = ends(here, dump[: int(len(dump) * cut)])

    assert [("cut_off", "it ends without `-- PostgreSQL database dump complete`")] == flaws(found)
    assert not found.whole


@pytest.mark.parametrize("cut", [0.5, 0.9])  # Python's tars are padded beyond their end
def test_a_tar_that_is_cut_off_lacks_its_end(here, cut):
    tar = made(("toc.dat", b"PGDMP" + b"\1\16\0\4\10\3" + bytes(10_000)), ("1.dat", b"row\n" * 100_000))

    found = ends(here, tar[: int(len(tar) * cut)])

    assert [("cut_off", "the tar ends without its end")] == flaws(found)
    assert [] == flaws(ends(here, tar))


@pytest.mark.parametrize("cut", CUTS)
def test_an_xz_that_is_cut_off_lacks_its_end(here, dumps, cut):
    packed = PACKINGS["xz"](large(dumps.plain))

    assert [] == flaws(ends(here, packed))
    assert [("cut_off", "xz data ends before its end")] == flaws(ends(here, packed[: int(len(packed) * cut)]))


@pytest.mark.parametrize("packing", PACKINGS)
def test_type_of_a_compressed_dump_is_read_from_its_beginning(here, dumps, packing):
    """bzip2 unpacks nothing before 900 KB, and lz4 nothing before 4 MiB."""
    packed = PACKINGS[packing](large(dumps.plain))

    found = ends(here, packed)

    assert ((packing,), "plain", (), "") == (found.packed_with, found.format, found.flaws, found.unjudged)
    assert dumps.programs.version == found.header.dumped_by


def test_blocks_of_lz4_as_its_program_makes_them_are_read_as_far_as_it_takes(here, dumps):
    if not has("lz4"):
        pytest.skip("there is no lz4 on this machine")
    packed = tool("lz4", "-B7", "-c", data=large(large(dumps.plain)))

    assert "plain" == ends(here, packed).format


@pytest.mark.parametrize("packing", PACKINGS)
def test_unclear_ends_are_not_called_complete(here, dumps, packing):
    """A gzip that is cut off in the middle begins well, and its end looks like any other bytes."""
    packed = PACKINGS[packing](large(dumps.plain))

    found = ends(here, packed[: len(packed) // 2])

    assert not found.whole
    assert len(packed) // 2 == found.size


@pytest.mark.parametrize("packing", ["", *PACKINGS])
def test_a_backup_of_nothing_is_empty(store, packing):
    body = PACKINGS[packing](b"") if packing else b""

    assert [("empty", "nothing is in it")] == flaws(ends(store, body))


def test_a_small_backup_is_read_wholly(here, dumps):
    """Its ends are all of it."""
    packed = PACKINGS["gzip"](dumps.plain[:50_000])
    assert len(packed) < 2 * END

    assert [("cut_off", "it ends without `-- PostgreSQL database dump complete`")] == flaws(ends(here, packed))
    assert [("cut_off", "gzip data ends before its end")] == flaws(ends(here, packed[:-5]))


def test_a_small_custom_dump_is_not_called_whole_for_its_header(here, dumps):
    found = ends(here, dumps.custom[:20_000])

    assert (False, (), DATABASE) == (found.whole, found.flaws, found.header.database)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"id,name\n" + b"1,Maria\n" * 50_000, "of no format that pg_dump writes"),
    ],
)
def test_something_else_is_not_a_dump(here, body, text):
    assert [("foreign", text)] == flaws(ends(here, body))
    assert [] == flaws(ends(here, body, expects="any"))


@pytest.mark.parametrize(
    ("first", "text"),
    [
        ("etc/hosts", "it is a tar of files, and none of the first 1 is the list of contents of a dump"),
        ("dump/toc.dat", "it is a tar of a dump in directory format, whose files are not taken out of it"),
    ],
)
def test_ends_of_a_tar_do_not_list_its_files(here, first, text):
    body = made((first, b"127.0.0.1" * 50_000))

    assert text == ends(here, body).unjudged
    assert ([], "") == (flaws(ends(here, body, expects="tar")), ends(here, body, expects="tar").unjudged)


def test_encrypted_file_is_not_judged(here, dumps):
    if not has("openssl"):
        pytest.skip("there is no openssl on this machine")
    body = tool("openssl", "enc", "-aes-256-cbc", "-pbkdf2", "-k", "x", data=large(dumps.plain))

    assert "it is encrypted with openssl, so its content cannot be checked" == ends(here, body).unjudged


def test_object_that_is_smaller_than_it_was_listed_is_still_being_written(here, dumps):
    here.put(KEY, dumps.plain)

    for size in (len(dumps.plain) + 10, len(dumps.plain) + 10_000_000):
        problem = here.ask(ReadEnds("target", KEY, size))
        assert isinstance(problem, Problem)
        assert f"it was listed with {size} bytes" in problem.text
