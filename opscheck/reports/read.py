"""Reading a run record back."""

import sys
from pathlib import Path

import msgspec

from opscheck.core.exit_codes import UserError
from opscheck.core.record import RUN_SCHEMA, Run


class ReportError(UserError):
    """A run record that cannot be read, or records that do not fit into one report."""


class _Kind(msgspec.Struct):
    """The field that identifies a file."""

    schema: str = ""


def read_run(path: Path) -> Run:
    """The run at `path`, `-` for standard input. Raises ReportError, which names the file and what to do."""
    content = _content(path)
    try:
        kind = msgspec.json.decode(content, type=_Kind).schema
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ReportError(f"{path}: not a run record: {error}; `opscheck run --json FILE` writes one") from None
    if kind != RUN_SCHEMA:
        raise ReportError(f"{path}: its `schema` is {kind or 'missing'}; this opscheck reads {RUN_SCHEMA}")
    try:
        run = msgspec.json.decode(content, type=Run)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ReportError(f"{path}: invalid {RUN_SCHEMA} document: {error}") from None
    if (held := len(run.results)) != run.counts.reported:
        raise ReportError(f"{path}: holds {held} results and counts {run.counts.reported}; use the unmodified record")
    return run


def _content(path: Path) -> bytes:
    if str(path) == "-":
        return sys.stdin.buffer.read()
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ReportError(f"{path}: no such file; `opscheck run --json {path}` writes it") from None
    except IsADirectoryError:
        raise ReportError(f"{path}: is a directory; name the run record in it") from None
    except OSError as error:
        raise ReportError(f"{path}: cannot be read: {error.strerror}") from None
