"""Restoring a dump, of whatever format, as data that comes from outside."""

import re
import secrets
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.recovery.drill_record import BROKEN, NEWER, REFUSED
from opscheck.systems.recovery.drilling.dumps import CUSTOM, DIRECTORY, PLAIN, TAR, Dump, pieces
from opscheck.systems.recovery.drilling.errors import Failed
from opscheck.systems.recovery.drilling.programs import SERVICE
from opscheck.systems.recovery.drilling.restore_errors import Complaints
from opscheck.systems.recovery.drilling.server import Scratch
from opscheck.systems.stores.archives.formats import HEAD
from opscheck.systems.stores.archives.plain import TAIL, has_footer, without_footer
from opscheck.systems.stores.archives.stream import Broken
from opscheck.systems.stores.archives.tar import TarWalk

_QUIETLY = ("-X", "--no-password", "--quiet", "--set=VERBOSITY=verbose", "--file=-")
_AS_ITS_OWNER = ("--no-owner", "--no-privileges", "--no-tablespaces", "--no-password")
_JOBS = 2
_ENDS_WITHIN_S = 10.0
_DATABASE_STATEMENT = re.compile(rb"^(?:CREATE|DROP|ALTER) DATABASE ", re.MULTILINE)
_CONNECT = re.compile(rb"^\\connect .*\n", re.MULTILINE)
_FIRST_OBJECT = re.compile(rb"^-- Name: .*; Type: (?!DATABASE)", re.MULTILINE)
_RESTRICT = re.compile(rb"^\\restrict [0-9A-Za-z]+[ \t\r]*\n", re.MULTILINE)
_UNRESTRICT = re.compile(rb"^\\unrestrict [0-9A-Za-z]+\s*\Z", re.MULTILINE)

Advance = Callable[[float], None]
"""Called with how many bytes were restored so far."""


def restore(dump: Dump, scratch: Scratch, advance: Advance) -> tuple[str, ...]:
    """
    Restore a dump; what the scratch server lacks, and was left out, comes back.

    Raises Failed where the dump is not as it should be, and ProbeError where it is the drill that cannot go on.
    """
    if dump.major > scratch.major:
        text = (
            f"it was dumped from PostgreSQL {dump.version}, and the scratch server is {scratch.version}, which is older"
        )
        raise Failed(NEWER, text)
    if dump.format == TAR:
        _make_sure_of_the_end(dump)
    complaints = Complaints()
    try:
        if dump.format == PLAIN:
            _feed_psql(dump, scratch, complaints, advance)
        else:
            _run_pg_restore(dump, scratch, complaints)
    except Failed as failed:
        raise _for_want_of_more(failed, complaints) from None
    return tuple(complaints.missing)


def _make_sure_of_the_end(tar: Dump) -> None:
    """Raise Failed where a tar is cut off: pg_restore takes what there is of it for all, and ends with 0."""
    walk = TarWalk()
    try:
        for piece in pieces(tar.path, None):
            walk.feed(piece)
        walk.end()
    except Broken as error:
        raise Failed(BROKEN, str(error)) from None


def _run_pg_restore(dump: Dump, scratch: Scratch, complaints: Complaints) -> None:
    # A tar file has no places to begin at.
    jobs = (f"--jobs={_JOBS}",) if dump.format in {CUSTOM, DIRECTORY} else ()
    words = (f"--dbname=service={SERVICE}", *_AS_ITS_OWNER, *jobs, dump.path)
    with _listened_to(scratch, complaints, "pg_restore", *words, stdin=subprocess.DEVNULL) as process:
        process.wait()
    # It ends with 1 also where it went on after what may be missing; with another number it did not come to its end.
    went_on = complaints.missing and process.returncode == 1
    _raise_ending(complaints, "pg_restore", 0 if went_on else process.returncode)


def _feed_psql(dump: Dump, scratch: Scratch, complaints: Complaints, advance: Advance) -> None:
    with (
        closing(pieces(dump.path, dump.packing)) as unpacked,  # type: ignore[type-var]  # a generator has `close`
        _listened_to(scratch, complaints, "psql", *_QUIETLY, stdin=subprocess.PIPE) as process,
    ):
        assert process.stdin is not None  # noqa: S101 - it was asked for
        fed = 0
        with suppress(BrokenPipeError):  # it has ended: what it complained of says why
            for piece in without_commands(unpacked):
                process.stdin.write(piece)
                fed += len(piece)
                advance(fed)
            process.stdin.close()
        process.wait()
    _raise_ending(complaints, "psql", process.returncode)


def without_commands(unpacked: Iterator[bytes]) -> Iterator[bytes]:
    r"""
    A plain dump, without those commands of psql that pg_dump itself writes.

    All others are refused by psql: with `\restrict` it takes no command until it is told a word that nobody knows
    (CVE-2025-8714). Raises Failed where the end of the dump is not there.
    """
    yield b"\\restrict %s\n" % secrets.token_hex(32).encode()
    kept = _of_one_database(_filled(unpacked, HEAD))
    for piece in unpacked:
        kept += piece
        yield kept[:-TAIL]
        kept = kept[-TAIL:]
    if not has_footer(kept[-TAIL:], PLAIN):
        raise Failed(BROKEN, f"it is cut off: {without_footer(PLAIN)}")
    yield _UNRESTRICT.sub(b"", kept)


def _filled(unpacked: Iterator[bytes], size: int) -> bytes:
    """The first bytes, as many as are wanted at least, unless there are fewer."""
    first = b""
    while len(first) < size and (piece := next(unpacked, b"")):
        first += piece
    return first


def _of_one_database(head: bytes) -> bytes:
    r"""
    The beginning of a dump without what makes its database and connects to it, as `pg_dump --create` writes it.

    Raises ProbeError where something of that is left: it would be done to a database that is not the drill's.
    """
    first = _FIRST_OBJECT.search(head)
    ahead = head[: first.start()] if first is not None else head
    connects = list(_CONNECT.finditer(ahead)) if _DATABASE_STATEMENT.search(ahead) else []
    begins = connects[-1].end() if connects else 0
    kept = _RESTRICT.sub(b"", ahead[begins:], count=1)
    if _DATABASE_STATEMENT.search(kept):
        text = "the dump makes or drops a database, and does not connect to it"
        raise ProbeError(ProblemKind.UNSUPPORTED, text, "make it with pg_dump, without --create and --clean")
    return kept + head[len(ahead) :]


@contextmanager
def _listened_to(
    scratch: Scratch, complaints: Complaints, program: str, *words: str | Path, stdin: int
) -> Iterator["subprocess.Popen[bytes]"]:
    """A program that restores; it is ended with the first complaint that matters. None is left after the `with`."""
    process = scratch.programs.popen(program, *words, stdin=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def listen() -> None:
        assert process.stderr is not None  # noqa: S101 - it was asked for
        for line in process.stderr:
            complaints.hear(line.decode(errors="replace"))
            if complaints.ending is not None:
                process.kill()

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        yield process
    except BaseException:
        process.kill()
        raise
    finally:
        process.wait(_ENDS_WITHIN_S)
        listener.join(_ENDS_WITHIN_S)
        for pipe in (process.stdin, process.stderr):
            with suppress(BrokenPipeError):
                if pipe is not None:
                    pipe.close()


def _raise_ending(complaints: Complaints, program: str, code: int) -> None:
    if complaints.ending is not None:
        raise complaints.ending
    if code != 0:
        raise Failed(REFUSED, f"{program} ended with {code}")


def _for_want_of_more(failed: Failed, complaints: Complaints) -> Exception:
    """It is not the backup's fault where what it needs is not installed on the scratch server."""
    wanted = [one for one in complaints.missing if one.startswith(("extension ", "collation "))]
    if failed.trouble != REFUSED or not wanted:
        return failed
    return ProbeError(
        ProblemKind.UNSUPPORTED,
        f"the scratch server lacks {', '.join(wanted)}, and then: {failed.text}",
        "name a scratch server that has what the backup needs, or install PostgreSQL with its contrib package",
    )
