"""What a file beside a backup, as sha256sum writes it, says of the backup."""

import re
import time

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.stores.probe.base import Store
from opscheck.systems.stores.queries.content import Checksum, ReadChecksum

_OWN_SHARE = 0.97
# `<sum>  name`, `<sum> *name` where it was read as binary, and as BSD writes it. A sum alone is one too.
_LINE = re.compile(r"^\\?(?P<sum>[0-9a-fA-F]{64})(?:[ \t]+\*?(?P<name>\S.*))?$")
_BSD = re.compile(r"^SHA256 \((?P<name>.+)\) = (?P<sum>[0-9a-fA-F]{64})$")


def read(store: Store, query: ReadChecksum, timeout_s: float) -> Checksum:
    """The answer to `query`. Raises ProbeError."""
    deadline = time.monotonic() + timeout_s * _OWN_SHARE
    try:
        with store.open(query.key, "", length=query.most_bytes, deadline=deadline) as pieces:
            content = b"".join(pieces)
    except ProbeError as error:
        if error.problem.kind is ProblemKind.ABSENT:
            return Checksum(there=False)
        raise
    return Checksum(sha256=checksum_in(content.decode("utf-8", "replace"), query.backup))


def checksum_in(text: str, key: str) -> str:
    """The sum that the lines of `text` give for the file that `key` is; empty where there is none."""
    found = [line for line in map(_read_line, text.splitlines()) if line is not None]
    wanted = key.rpartition("/")[2]
    for name, sha256 in found:
        if name.rpartition("/")[2] == wanted:
            return sha256
    # What was piped into sha256sum has the name `-`, and some write none.
    nameless = [sha256 for name, sha256 in found if name in {"", "-"}]
    return nameless[0] if len(found) == len(nameless) == 1 else ""


def _read_line(line: str) -> tuple[str, str] | None:
    match = _LINE.match(line.strip()) or _BSD.match(line.strip())
    return ((match["name"] or "").strip(), match["sum"].lower()) if match else None
