"""What all questions to Redis and Valkey have in common: the access list, the refusals, and the servers of a target."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

import msgspec

from opscheck.core.observation import Problem
from opscheck.core.query import Permission, Query

A = TypeVar("A")


@dataclass(frozen=True)
class AclCommand(Permission):
    """A command that the server's access list must allow, in lower case, such as `ping` or `slowlog|get`."""

    command: str

    @property
    def risk(self) -> str:
        """CONFIG GET cannot be allowed for one setting alone."""
        return "it shows every setting, passwords among them" if self.command == "config|get" else ""


@dataclass(frozen=True)
class SentinelCommand(Permission):
    """A command that the access list of the sentinels must allow."""

    command: str

    def text(self) -> str:
        """For people."""
        return f"{self.command} at the sentinels"


def acl_rule(user: str, commands: Iterable[str]) -> str:
    """What an administrator types so that `user` may run these commands and nothing else; no keys, no channels."""
    allowed = " ".join(f"+{command}" for command in sorted(set(commands)))
    return f"ACL SETUSER {user} on >PASSWORD resetkeys resetchannels -@all {allowed}".rstrip()


class Refusal(StrEnum):
    """Why a server that is there does not do what it is asked."""

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


class Reply(msgspec.Struct, Generic[A], frozen=True, kw_only=True):
    """What one server said: an answer, a refusal, or the problem in its place."""

    node: str
    """The server, as host:port or the path of its socket."""
    answer: A | None = None
    refusal: Refusal | None = None
    error: str = ""
    """The server's own words when it refused."""
    problem: Problem | None = None


class Replies(msgspec.Struct, Generic[A], frozen=True, kw_only=True):
    """What each server of a target said, in their order. There is always one."""

    nodes: tuple[Reply[A], ...]

    @property
    def epoch(self) -> str:
        """Nothing: each server counts for itself, and its own answer says since when."""
        return ""


@dataclass(frozen=True)
class RedisQuery(Query[A], Generic[A]):
    """A question that every server of a target is asked."""

    finds: str = ""
    """How servers are found that the target does not name, as `RedisTarget.finds`; empty where none are."""

    def commands(self) -> tuple[str, ...]:
        """The commands that ask it, as access lists call them."""
        return ()

    def permissions(self) -> tuple[Permission, ...]:
        """Those commands, and what finds the servers. AUTH needs no permission."""
        found = FINDING.get(self.finds, ())
        return (*(AclCommand(command) for command in self.commands()), *found)


FINDING: Mapping[str, tuple[Permission, ...]] = {
    "cluster": (AclCommand("cluster|nodes"),),
    "replicas": (AclCommand("info"),),
    "sentinel": (SentinelCommand("sentinel|get-master-addr-by-name"),),
    "sentinel, replicas": (
        SentinelCommand("sentinel|get-master-addr-by-name"),
        SentinelCommand("sentinel|replicas"),
    ),
}
"""What must be allowed to find servers, by how they are found."""
