"""Reading backups to their end, from every kind of store."""

import hashlib
import os
import re
import time
from contextlib import contextmanager

import pytest

from opscheck.core.observation import ProbeError, Problem, ProblemKind
from opscheck.core.progress import going_on
from opscheck.core.units import format_bytes
from opscheck.systems.stores.archives.plain import PlainScan
from opscheck.systems.stores.content import Content, ReadContent
from tests.servers.dumps import DATABASE, PACKINGS, dumpers, dumps_of, has
from tests.servers.s3 import FolderPlace
from tests.systems.stores.archives.test_tar import made
from tests.systems.stores.probe.reading import KEY, flaws, read, tool

CUTS = (0.3, 0.6, 0.99)


@pytest.fixture(name="here")
def _here(tmp_path):
    return FolderPlace(tmp_path / "backups")


@pytest.mark.parametrize("format_", ["plain", "custom", "tar", "cluster"])
def test_a_whole_dump_is_whole_in_each_format_and_from_each_store(store, dumps, format_):
    dump = dumps.each_format()[format_]

    found = read(store, dump)

    assert isinstance(found, Content), found
    assert (True, format_, ()) == (found.whole, found.format, found.flaws)
    assert (len(dump), len(dump), len(dump)) == (found.size, found.read, found.unpacked)
    assert bool(found.judged_by) == (format_ in {"custom", "tar"})


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("format_", ["plain", "custom", "tar"])
def test_a_packed_dump_is_unpacked_and_judged_as_what_it_is(here, dumps, packing, format_):
    dump = dumps.each_format()[format_]

    found = read(here, PACKINGS[packing](dump))

    assert (True, ()) == (found.whole, found.flaws)
    assert ((packing,), format_, len(dump)) == (found.packed_with, found.format, found.unpacked)


@pytest.mark.parametrize("program", ["gzip", "zstd", "xz", "bzip2", "lz4"])
def test_output_of_each_compressor_is_complete_until_truncated(here, dumps, program):
    if not has(program):
        pytest.skip(f"there is no {program} on this machine")
    hold(here, tool(program, "-c", data=dumps.plain))


@pytest.mark.parametrize("program", ["pigz", "pzstd"])
def test_output_of_parallel_compressors_is_complete_until_truncated(here, dumps, parallel_packers, program):
    hold(here, tool(str(parallel_packers / program), "-c", data=dumps.plain))


def hold(here, packed: bytes) -> None:
    """Whole it has no flaw, and cut off it has one."""
    assert [] == flaws(read(here, packed))
    for cut in CUTS:
        ((trouble, text),) = flaws(read(here, packed[: int(len(packed) * cut)]))
        assert ("cut_off", "data ends before its end") == (trouble, text.partition(" ")[2])


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("packing", ["", *PACKINGS])
@pytest.mark.parametrize("format_", ["plain", "custom", "uncompressed", "tar", "cluster"])
def test_a_dump_that_is_cut_off_is_reported_however_it_is_packed(here, dumps, format_, packing, cut):
    dump = getattr(dumps, format_)
    packed = PACKINGS[packing](dump) if packing else dump

    found = read(here, packed[: int(len(packed) * cut)])

    assert not found.whole
    ((trouble, _),) = flaws(found)
    assert "cut_off" == trouble


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("format_", ["plain", "custom", "tar", "cluster"])
def test_half_a_dump_that_was_packed_wholly_is_reported(here, dumps, format_, packing):
    """`pg_dump … | gzip` without pipefail, whose pg_dump failed half-way: `gzip -t` finds nothing wrong."""
    dump = dumps.each_format()[format_]

    found = read(here, PACKINGS[packing](dump[: len(dump) // 2]))

    assert not found.whole
    assert "cut_off" == flaws(found)[0][0]


def test_a_custom_dump_that_lists_well_and_is_cut_off_is_reported(here, dumps):
    """`pg_restore --list` reads no further than the list of contents, and finds nothing wrong."""
    dump = dumps.custom[: int(len(dumps.custom) * 0.6)]
    assert b"orders" in tool(str(dumps.programs.program("pg_restore")), "--list", data=dump)

    assert [("cut_off", "pg_restore: could not read from input file: end of file")] == flaws(read(here, dump))


def test_a_tar_that_is_cut_off_within_a_file_ends_the_reading(here, dumps):
    """Some releases of pg_restore never end on one."""
    ((trouble, text),) = flaws(read(here, dumps.tar[: len(dumps.tar) // 2], timeout_s=30))

    assert "cut_off" == trouble
    assert "in the tar is cut off" in text


def test_the_twenty_bytes_of_a_dump_that_failed_are_empty(store):
    found = read(store, PACKINGS["gzip"](b""))

    assert (20, 0, "empty") == (found.size, found.unpacked, found.format)
    assert [("empty", "nothing is in it")] == flaws(found)


@pytest.mark.parametrize("packing", ["", *PACKINGS])
@pytest.mark.parametrize(("inside", "text"), [(b"", "nothing is in it"), (b" \n", "nothing but blanks is in it")])
def test_nothing_is_empty_however_it_is_packed(here, packing, inside, text):
    body = PACKINGS[packing](inside) if packing else inside

    for expects in ("dump", "any", "tar"):
        assert [("empty", text)] == flaws(read(here, body, expects=expects))


def test_a_byte_that_changed_in_a_compressed_dump_is_damage(here, dumps):
    dump = bytearray(dumps.custom)
    dump[len(dump) // 2] ^= 0xFF

    ((trouble, text),) = flaws(read(here, bytes(dump)))

    assert "damaged" == trouble
    assert text.startswith("pg_restore: ")


def test_a_header_that_changed_is_damage(here, dumps):
    assert [("damaged", "its header is damaged")] == flaws(read(here, dumps.custom[:8] + b"\xff" * 3000))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"pg_dump: error: connection to server failed\n", "an error message of pg_dump, and no dump"),
        (b"id,name\n1,Maria\n", "of no format that pg_dump writes"),
        (made(("etc/hosts", b"127.0.0.1")), "a tar of other files"),
    ],
)
def test_something_else_is_not_a_dump(here, body, text):
    assert [("foreign", text)] == flaws(read(here, PACKINGS["gzip"](body)))


def test_a_tar_of_files_is_whole_where_one_is_expected(here):
    body = made(("etc/hosts", b"127.0.0.1" * 500), ("etc/passwd", b"root" * 500))

    assert [] == flaws(read(here, PACKINGS["gzip"](body), expects="tar"))
    assert [("cut_off", "the last of 2 files in the tar is cut off")] == flaws(
        read(here, PACKINGS["gzip"](body[:6000]), expects="tar")
    )
    assert [("foreign", "no tar")] == flaws(read(here, PACKINGS["gzip"](b"something"), expects="tar"))


def test_tar_of_a_directory_dump_is_not_judged_as_a_dump(here, dumps, tmp_path):
    files = dumps.directory(tmp_path / "dump")
    body = made(*((f"nightly/{name}", content) for name, content in files.items()))

    found = read(here, PACKINGS["gzip"](body))

    assert (False, ()) == (found.whole, found.flaws)
    assert "it is a tar of a dump in directory format, whose files are not taken out of it" == found.unjudged
    assert "cut_off" == flaws(read(here, PACKINGS["gzip"](body[:5000])))[-1][0]
    assert read(here, PACKINGS["gzip"](body), expects="tar").whole


def test_where_anything_is_expected_nothing_is_asked_of_what_is_unpacked(here, dumps):
    assert read(here, b"PGDMP and no archive", expects="any").whole
    assert read(here, dumps.tar[: len(dumps.tar) // 2], expects="any").whole


def test_anything_that_unpacks_is_whole_where_anything_is_expected(here, dumps):
    assert [] == flaws(read(here, PACKINGS["zstd"](b"id,name\n"), expects="any"))
    assert [] == flaws(read(here, dumps.custom[:5000], expects="any"))
    assert "cut_off" == flaws(read(here, PACKINGS["zstd"](b"id,name\n")[:-1], expects="any"))[0][0]


def test_too_large_unpacked_size_ends_the_reading(here):
    bomb = PACKINGS["gzip"](PACKINGS["gzip"](bytes(300 * 2**20)))

    found = read(here, bomb, expects="any", unpacked_limit=20_000_000)

    assert [("too_large", "it unpacks to more than 20MB")] == flaws(found)
    assert not found.whole


def test_packings_within_packings_come_to_an_end(here):
    body = b"something"
    for _ in range(20):
        body = PACKINGS["gzip"](body)

    found = read(here, body, expects="any")

    assert not found.whole
    assert "it is packed more than 3 times" == found.unjudged


def test_encrypted_backup_is_not_judged_with_a_reason(here, dumps):
    if not has("openssl"):
        pytest.skip("there is no openssl on this machine")
    body = tool("openssl", "enc", "-aes-256-cbc", "-pbkdf2", "-k", "x", data=dumps.plain)

    found = read(here, body)

    assert (False, (), "it is encrypted with openssl") == (found.whole, found.flaws, found.unjudged)
    assert "before it is encrypted" in found.advice


def test_the_sum_is_that_of_all_its_bytes_also_where_it_breaks_early(here, dumps):
    damaged = PACKINGS["gzip"](dumps.plain)[:1000] + os.urandom(3_000_000)
    for body in (dumps.custom, damaged, PACKINGS["gzip"](b"")):
        found = read(here, body, hashed=True)

        assert hashlib.sha256(body).hexdigest() == found.sha256
        assert len(body) == found.read
    assert "" == read(here, damaged).sha256


def test_where_it_breaks_is_reported_by_what_was_read(here, dumps):
    body = PACKINGS["gzip"](dumps.plain)

    found = read(here, body[:1000] + os.urandom(5_000_000))

    assert "damaged" == found.flaws[0].trouble
    assert found.flaws[0].at is not None
    assert 3_000_000 > found.flaws[0].at


def test_object_that_grew_since_it_was_listed_is_still_being_written(here, dumps):
    here.put(KEY, dumps.plain)

    problem = here.ask(ReadContent("target", KEY, len(dumps.plain) - 5))

    assert isinstance(problem, Problem)
    assert ProblemKind.UNREADABLE == problem.kind
    assert f"it was listed with {len(dumps.plain) - 5} bytes, and {len(dumps.plain)} were read" in problem.text


def test_a_backup_that_is_gone_meanwhile_is_absent(store):
    store.put("other", b"x")

    problem = store.ask(ReadContent("target", KEY, 1000))

    assert isinstance(problem, Problem)
    assert ProblemKind.ABSENT == problem.kind


def test_the_header_tells_who_made_it_of_what(here, dumps):
    for dump in (dumps.custom, dumps.tar):
        header = read(here, dump).header
        assert (DATABASE, dumps.server.version, dumps.programs.version) == (
            header.database,
            header.dumped_from,
            header.dumped_by,
        )
    header = read(here, PACKINGS["xz"](dumps.plain)).header
    assert dumps.server.version.startswith(header.dumped_from)
    assert dumps.programs.version == header.dumped_by


def test_dumps_of_each_pg_dump_are_complete_until_truncated(here, dumps):
    for one in dumpers(dumps.server.major):
        made_by = dumps_of(dumps.server, one)
        for dump in (made_by.plain, made_by.custom, made_by.tar):
            assert [] == flaws(read(here, dump)), one
            assert "cut_off" == flaws(read(here, dump[: len(dump) // 2]))[0][0], one


def test_the_progress_tells_how_much_of_it_was_read(here, dumps, monkeypatch):
    seen = []
    monkeypatch.setattr(PlainScan, "feed", lambda *_: seen.append(going_on()))
    monkeypatch.setattr(PlainScan, "end", lambda _: None)

    read(here, dumps.plain)

    assert f"reading {KEY} 100% of {format_bytes(len(dumps.plain))}" == seen[-1]
    assert "" == going_on()


def test_a_store_that_trickles_ends_in_time_and_says_how_far_it_came(here, dumps):
    here.put(KEY, dumps.plain)
    session = here.session()
    session.store.open = trickling
    began = time.monotonic()

    with pytest.raises(ProbeError) as raised:
        session.ask(ReadContent("target", KEY, 1_000_000), 1.0)

    assert 5 > time.monotonic() - began
    assert ProblemKind.LATE is raised.value.problem.kind
    assert re.fullmatch(rf"{re.escape(KEY)}: \d+B of 1MB were read in [\d.]+(ms|s)", raised.value.problem.text)
    assert "raise `within`" == raised.value.problem.advice
    assert "" == going_on()


@contextmanager
def trickling(*_, **__):
    """A byte at a time, for ever."""
    yield iter(lambda: time.sleep(0.01) or b"\x1f", b"")
