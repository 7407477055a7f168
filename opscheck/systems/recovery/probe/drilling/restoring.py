"""Restoring a dump of any format, as untrusted data."""

import re
import secrets
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from opscheck.systems.recovery.drill_record import BROKEN, NEWER, REFUSED
from opscheck.systems.recovery.probe.drilling.dumps import CUSTOM, DIRECTORY, PLAIN, TAR, Dump, pieces
from opscheck.systems.recovery.probe.drilling.errors import Failed, unsupported
from opscheck.systems.recovery.probe.drilling.programs import SERVICE
from opscheck.systems.recovery.probe.drilling.restore_errors import RestoreErrors
from opscheck.systems.recovery.probe.drilling.server import Scratch
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
"""Called with the number of restored bytes."""


def restore(dump: Dump, scratch: Scratch, advance: Advance) -> tuple[str, ...]:
    """
    Restore a dump. Returns the objects that were left out because they are missing on the scratch server.

    Raises Failed for a faulty dump, and ProbeError when the drill itself cannot continue.
    """
    if dump.major > scratch.major:
        text = (
            f"it was dumped from PostgreSQL {dump.version}, and the scratch server is {scratch.version}, which is older"
        )
        raise Failed(NEWER, text)
    if dump.format == TAR:
        _require_end(dump)
    errors = RestoreErrors()
    try:
        if dump.format == PLAIN:
            _feed_psql(dump, scratch, errors, advance)
        else:
            _run_pg_restore(dump, scratch, errors)
    except Failed as failed:
        raise _missing_software(failed, errors) from None
    return tuple(errors.missing)


def _require_end(tar: Dump) -> None:
    """Raise Failed for a truncated tar: pg_restore reads it without an error, and exits with 0."""
    walk = TarWalk()
    try:
        for piece in pieces(tar.path, None):
            walk.feed(piece)
        walk.end()
    except Broken as error:
        raise Failed(BROKEN, str(error)) from None


def _run_pg_restore(dump: Dump, scratch: Scratch, errors: RestoreErrors) -> None:
    # Parallel jobs need random access, which a tar does not have.
    jobs = (f"--jobs={_JOBS}",) if dump.format in {CUSTOM, DIRECTORY} else ()
    words = (f"--dbname=service={SERVICE}", *_AS_ITS_OWNER, *jobs, dump.path)
    with _running(scratch, errors, "pg_restore", *words, stdin=subprocess.DEVNULL) as process:
        process.wait()
    # It exits with 1 also after errors about missing objects; with another status it did not finish.
    went_on = errors.missing and process.returncode == 1
    _raise_error(errors, "pg_restore", 0 if went_on else process.returncode)


def _feed_psql(dump: Dump, scratch: Scratch, errors: RestoreErrors, advance: Advance) -> None:
    with (
        closing(pieces(dump.path, dump.packing)) as unpacked,  # type: ignore[type-var]  # a generator has `close`
        _running(scratch, errors, "psql", *_QUIETLY, stdin=subprocess.PIPE) as process,
    ):
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        fed = 0
        with suppress(BrokenPipeError):  # it has exited; its errors contain the reason
            for piece in without_commands(unpacked):
                process.stdin.write(piece)
                fed += len(piece)
                advance(fed)
            process.stdin.close()
        process.wait()
    _raise_error(errors, "psql", process.returncode)


def without_commands(unpacked: Iterator[bytes]) -> Iterator[bytes]:
    r"""
    A plain dump, without the psql commands that pg_dump itself writes.

    psql refuses all other commands: after `\restrict` it accepts none until a secret word follows (CVE-2025-8714).
    Raises Failed for a truncated dump.
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
    """At least the first `size` bytes, or all when there are fewer."""
    first = b""
    while len(first) < size and (piece := next(unpacked, b"")):
        first += piece
    return first


def _of_one_database(head: bytes) -> bytes:
    r"""
    The beginning of a dump, without the statements of `pg_dump --create` that create and connect to its database.

    Raises ProbeError when a statement about a database is left: it would affect other databases than the drill's.
    """
    first = _FIRST_OBJECT.search(head)
    ahead = head[: first.start()] if first is not None else head
    connects = list(_CONNECT.finditer(ahead)) if _DATABASE_STATEMENT.search(ahead) else []
    begins = connects[-1].end() if connects else 0
    kept = _RESTRICT.sub(b"", ahead[begins:], count=1)
    if _DATABASE_STATEMENT.search(kept):
        text = "the dump makes or drops a database, and does not connect to it"
        raise unsupported(text, "make it with pg_dump, without --create and --clean")
    return kept + head[len(ahead) :]


@contextmanager
def _running(
    scratch: Scratch, errors: RestoreErrors, program: str, *words: str | Path, stdin: int
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program that restores, until the first error that ends the drill or the end of the `with`."""
    process = scratch.programs.popen(program, *words, stdin=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def listen() -> None:
        assert process.stderr is not None  # noqa: S101 - it is a pipe
        for line in process.stderr:
            errors.read_line(line.decode(errors="replace"))
            if errors.ending is not None:
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


def _raise_error(errors: RestoreErrors, program: str, code: int) -> None:
    if errors.ending is not None:
        raise errors.ending
    if code != 0:
        raise Failed(REFUSED, f"{program} ended with {code}")


def _missing_software(failed: Failed, errors: RestoreErrors) -> Exception:
    """The error to raise: when software is missing on the scratch server, the backup is not at fault."""
    wanted = [one for one in errors.missing if one.startswith(("extension ", "collation "))]
    if failed.trouble != REFUSED or not wanted:
        return failed
    return unsupported(
        f"the scratch server lacks {', '.join(wanted)}, and then: {failed.text}",
        "name a scratch server that has what the backup needs, or install PostgreSQL with its contrib package",
    )
