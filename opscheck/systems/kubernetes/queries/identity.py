"""The question who opscheck is to a cluster, and which cluster that is."""

from dataclasses import dataclass

from opscheck.core.query import Identity, Query


@dataclass(frozen=True)
class AskIdentity(Query[Identity], name="kubernetes.identity"):
    """
    Where the cluster is, and the user that the API server takes this client for.

    Every user that is authenticated may ask this about itself.
    """

    def text(self) -> str:
        """For people."""
        return "ask who this client is"
