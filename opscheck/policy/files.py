"""Opening a policy file: limited size, UTF-8, and a clear error."""

import codecs
import stat
import sys
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from yaml.reader import Reader

from opscheck.core.units import format_bytes
from opscheck.policy.errors import Issue, PolicyError
from opscheck.policy.nodes import Source

MAX_BYTES = 10 * 2**20
STANDARD_INPUT = Path("-")
"""Names standard input in place of a file."""

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@cache
def standard_input() -> bytes:
    """Standard input, which is read once. The first call must be before pytest captures it."""
    return sys.stdin.buffer.read(MAX_BYTES + 1)


class CannotOpenError(Exception):
    """The file cannot be opened; the text contains the reason."""


def read_text(path: Path, shown: str) -> tuple[Source, bytes]:
    """
    A policy file as text and as bytes. `shown` names it in errors.

    Raises CannotOpenError when it cannot be opened, PolicyError when it is not text or too long.
    """
    content = _read(path, shown)
    text = _decoded(content, shown).removeprefix("\ufeff")
    source = Source(shown, text)
    # The parser would find it too, but reports only the byte offset.
    if odd := Reader.NON_PRINTABLE.search(text):
        rule = f"expected printable text, got the control character U+{ord(odd.group()):04X}"
        raise PolicyError([Issue(*source.place(odd.start()), "", rule)])
    return source, content


def _read(path: Path, shown: str) -> bytes:
    content = standard_input() if path == STANDARD_INPUT else _read_file(path, shown)
    _refuse_too_large(len(content), shown)  # the size of a pipe is unknown before reading
    return content


def _read_file(path: Path, shown: str) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise CannotOpenError("expected a file, got a directory")
        _refuse_too_large(status.st_size, shown)
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise CannotOpenError(f"no such file{_near(path)}") from None
    except PermissionError:
        raise CannotOpenError("no permission to read it; grant read access to the user who runs opscheck") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in its name
        raise CannotOpenError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _refuse_too_large(size: int, shown: str) -> None:
    if size > MAX_BYTES:
        rule = f"expected a file of at most {MAX_BYTES // 2**20}MiB"
        raise PolicyError([Issue(shown, 0, 0, "", rule, format_bytes(size))])


def _near(path: Path) -> str:
    try:
        names = [one.name for one in path.parent.iterdir() if one.suffix in {".yaml", ".yml"}]
    except OSError:
        return ""
    near = get_close_matches(path.name, names, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _decoded(content: bytes, shown: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        start = content.rfind(b"\n", 0, error.start) + 1
        line = content.count(b"\n", 0, error.start) + 1
        column = len(content[start : error.start].decode()) + 1
        rule = f"expected UTF-8; the byte 0x{content[error.start]:02X} at offset {error.start} is not"
        hint = "save the file as UTF-8" + (", it is UTF-16" if content.startswith(_UTF_16) else "")
        raise PolicyError([Issue(shown, line, column, "", rule, hint=hint)]) from None
