"""What can be asked of a Redis or Valkey server."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from opscheck.queries.base import Permission, Query


@dataclass(frozen=True)
class AclCommand(Permission):
    """A command that the server's access list must allow, in lower case, such as `ping`."""

    command: str


def acl_rule(user: str, commands: Iterable[str]) -> str:
    """What an administrator types so that `user` may run these commands and nothing else; no keys, no channels."""
    allowed = " ".join(f"+{command}" for command in sorted(set(commands)))
    return f"ACL SETUSER {user} on >PASSWORD resetkeys resetchannels -@all {allowed}".rstrip()


class Refusal(StrEnum):
    """Why a server that is there does not say PONG."""

    LOADING = "LOADING"
    """It reads its data set from disk."""
    MISCONF = "MISCONF"
    """Its last snapshot failed, so it takes no writes."""
    MASTERDOWN = "MASTERDOWN"
    """It is a replica that has lost its primary, and may not serve stale data. Before Redis 7 it says PONG."""
    CLUSTERDOWN = "CLUSTERDOWN"
    """Its cluster does not serve."""
    BUSY = "BUSY"
    """A script or function runs and blocks everybody."""
    MAX_CLIENTS = "MAX_CLIENTS"
    """It has as many clients as it may have."""
    OTHER = "OTHER"
    """Another error; its text tells."""


class PingAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """PONG, or the refusal in its place, and how long the round trips took."""

    refusal: Refusal | None = None
    """None when the server said PONG each time."""
    error: str = ""
    """The server's own words when it refused."""
    connect_s: float
    """Seconds to open the connection, with TLS and authentication where the target has them."""
    pings_s: tuple[float, ...] = ()
    """Seconds of each PING on that connection, in their order."""


@dataclass(frozen=True)
class RedisPing(Query[PingAnswer], name="redis.ping"):
    """PING on a fresh connection, `samples` times over."""

    samples: int = 5

    def permissions(self) -> tuple[Permission, ...]:
        """PING alone. AUTH needs no permission."""
        return (AclCommand("ping"),)

    def text(self) -> str:
        """As typed to the server."""
        return f"PING, {self.samples} times"
