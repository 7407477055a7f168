"""An existing policy: its targets, its expectations, and the checks that its comments decline."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opscheck.core.redaction import Secrets
from opscheck.policy.errors import PolicyError
from opscheck.policy.layers import read_layers
from opscheck.policy.nodes import plain
from opscheck.policy.variables import Variables

# One space behind the `#`: the later lines of a comment that init writes have more.
_IGNORE = re.compile(r"^[ \t]*# ?opscheck init: ignore ([\w.*-]+)[ \t]*\r?$", re.MULTILINE)


@dataclass(frozen=True)
class Known:
    """A policy as plain values, with all that it extends; empty for a new file."""

    text: str = ""
    """Of the file itself."""
    targets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    expectations: tuple[Mapping[str, Any], ...] = ()
    waived: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()
    """Checks and ids that a comment declines: `# opscheck init: ignore redis.memory`."""


def read_known(path: Path, environ: Mapping[str, str]) -> Known:
    """The policy at `path`; variables need not be set. Raises UserError."""
    secrets = Secrets()
    try:
        layers = read_layers(path, lambda public: Variables(environ, secrets, public, keep_unset=True))
    except PolicyError as error:
        raise PolicyError(issue.without(secrets) for issue in error.issues) from None
    if layers.issues:
        raise PolicyError(issue.without(secrets) for issue in layers.issues)
    root = plain(layers.root)
    text = path.read_bytes().decode()
    return Known(
        text=text,
        targets={name: one for name, one in _mapping(root.get("targets")).items() if isinstance(one, Mapping)},
        expectations=tuple(one for one in root.get("expectations") or () if isinstance(one, Mapping)),
        waived=frozenset(str(one.get("id")) for one in root.get("waivers") or () if isinstance(one, Mapping)),
        ignored=frozenset(_IGNORE.findall(text)),
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
