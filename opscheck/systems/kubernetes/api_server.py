"""The API server itself: its version, its address, the context in use, and the user that this client is there."""

from dataclasses import dataclass

import msgspec

from opscheck.core.query import Identity, Query


class ServerVersion(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The answer to `/version`."""

    git_version: str
    """As in `v1.34.9-eks-3abf5ee`; vendors add to it."""


@dataclass(frozen=True)
class ReadVersion(Query[ServerVersion], name="kubernetes.version"):
    """The version of the API server. Behind a load balancer it is that of the server that answers."""

    def text(self) -> str:
        """For people."""
        return "read the version of the API server"


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """The part of the kubeconfig that is in use."""

    server: str
    """The URL of the API server."""
    name: str = ""
    """The name of the context; empty in a pod."""
    namespace: str = "default"
    """The namespace that kubectl uses by default."""


@dataclass(frozen=True)
class ReadContext(Query[Context], name="kubernetes.context"):
    """The server and the namespace that the kubeconfig, or the pod's service account, names."""

    def text(self) -> str:
        """For people."""
        return "read the context of the kubeconfig"


@dataclass(frozen=True)
class ReadIdentity(Query[Identity], name="kubernetes.identity"):
    """
    The address of the cluster, and the user that the API server authenticates this client as.

    Every authenticated user may send this review.
    """

    def text(self) -> str:
        """For people."""
        return "read the identity of this client"
