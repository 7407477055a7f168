"""What a manifest beside a backup says of it."""

import time

import jmespath
import msgspec

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.stores.probe.base import Store
from opscheck.systems.stores.queries.manifest import ManifestValue, ReadManifest

_OWN_SHARE = 0.97
_MOST_BYTES = 2**20
_LONGEST = 300


def read(store: Store, query: ReadManifest, timeout_s: float) -> ManifestValue:
    """The answer to `query`. Raises ProbeError."""
    try:
        content = _content(store, query, time.monotonic() + timeout_s * _OWN_SHARE)
    except ProbeError as error:
        if error.problem.kind is ProblemKind.ABSENT:
            return ManifestValue(there=False)
        raise
    try:
        value = jmespath.search(query.path, msgspec.json.decode(content))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProbeError(ProblemKind.UNREADABLE, f"{query.key} is no JSON document") from error
    except (jmespath.exceptions.JMESPathError, TypeError) as error:
        # Without its text, which may quote the document.
        raise ProbeError(ProblemKind.UNREADABLE, f"{query.path} cannot be asked of {query.key}") from error
    if isinstance(value, dict | list):
        raise ProbeError(ProblemKind.UNREADABLE, f"{query.path} in {query.key} is no single value")
    return ManifestValue(value=value[:_LONGEST] if isinstance(value, str) else value)


def _content(store: Store, query: ReadManifest, deadline: float) -> bytes:
    with store.open(query.key, "", length=_MOST_BYTES + 1, deadline=deadline) as pieces:
        content = b"".join(pieces)
    if len(content) > _MOST_BYTES:
        text = f"{query.key} is larger than {_MOST_BYTES // 2**20} MiB, and so no manifest"
        raise ProbeError(ProblemKind.UNREADABLE, text)
    return content
