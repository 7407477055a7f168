"""The question which version the API server has."""

from dataclasses import dataclass

import msgspec

from opscheck.core.query import Query


class ServerVersion(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the API server says at `/version`."""

    git_version: str
    """As in `v1.34.9-eks-3abf5ee`; vendors add to it."""


@dataclass(frozen=True)
class AskVersion(Query[ServerVersion], name="kubernetes.version"):
    """The version of the API server. Of several behind one address it is that of the one that answers."""

    def text(self) -> str:
        """For people."""
        return "ask the API server its version"
