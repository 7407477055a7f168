"""The values in sidecar files of backups: checksums and manifests."""

import re

import jmespath
import msgspec

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.stores.content import Checksum, ManifestValue, ReadChecksum, ReadManifest
from opscheck.systems.stores.probe.base import Store, deadline_in

# `<sum>  name`, `<sum> *name` in binary mode, and the form of BSD. A sum alone is valid too.
_LINE = re.compile(r"^\\?(?P<sum>[0-9a-fA-F]{64})(?:[ \t]+\*?(?P<name>\S.*))?$")
_BSD = re.compile(r"^SHA256 \((?P<name>.+)\) = (?P<sum>[0-9a-fA-F]{64})$")
_MOST_BYTES = 2**20
_LONGEST_VALUE = 300


def read_checksum(store: Store, query: ReadChecksum, timeout_s: float) -> Checksum:
    """The answer to `query`. Raises ProbeError."""
    content = _content(store, query.key, _MOST_BYTES, timeout_s)
    if content is None:
        return Checksum(there=False)
    return Checksum(sha256=checksum_in(content.decode("utf-8", "replace"), query.backup))


def checksum_in(text: str, key: str) -> str:
    """The sum for the file `key` in the lines of `text`; empty without one."""
    found = [line for line in map(_read_line, text.splitlines()) if line is not None]
    wanted = key.rpartition("/")[2]
    for name, sha256 in found:
        if name.rpartition("/")[2] == wanted:
            return sha256
    # sha256sum writes `-` for input from a pipe, and some tools write no name.
    nameless = [sha256 for name, sha256 in found if name in {"", "-"}]
    return nameless[0] if len(found) == len(nameless) == 1 else ""


def _read_line(line: str) -> tuple[str, str] | None:
    match = _LINE.match(line.strip()) or _BSD.match(line.strip())
    return ((match["name"] or "").strip(), match["sum"].lower()) if match else None


def read_manifest(store: Store, query: ReadManifest, timeout_s: float) -> ManifestValue:
    """The answer to `query`. Raises ProbeError."""
    content = _content(store, query.key, _MOST_BYTES + 1, timeout_s)
    if content is None:
        return ManifestValue(there=False)
    if len(content) > _MOST_BYTES:
        raise ProbeError(ProblemKind.UNREADABLE, f"{query.key} is larger than 1 MiB, and so no manifest")
    try:
        value = jmespath.search(query.path, msgspec.json.decode(content))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProbeError(ProblemKind.UNREADABLE, f"{query.key} is not a JSON document") from error
    except (jmespath.exceptions.JMESPathError, TypeError) as error:
        # Without its text, which may quote the document.
        raise ProbeError(ProblemKind.UNREADABLE, f"{query.path} does not apply to {query.key}") from error
    if isinstance(value, dict | list):
        raise ProbeError(ProblemKind.UNREADABLE, f"{query.path} in {query.key} is not a single value")
    return ManifestValue(value=value[:_LONGEST_VALUE] if isinstance(value, str) else value)


def _content(store: Store, key: str, most_bytes: int, timeout_s: float) -> bytes | None:
    """The first bytes of a file; None when it does not exist. Raises ProbeError."""
    try:
        with store.open(key, "", length=most_bytes, deadline=deadline_in(timeout_s)) as pieces:
            return b"".join(pieces)
    except ProbeError as error:
        if error.problem.kind is ProblemKind.ABSENT:
            return None
        raise
