"""The servers of a target: queries that go to each of them, their replies, and their states."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from opscheck.core.expectation import Expectation
from opscheck.core.findings import Findings, Observe, judge_all
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.query import Permission, Query
from opscheck.systems.redis.target import RedisTarget

A = TypeVar("A")
V = TypeVar("V")
Q = TypeVar("Q", bound="RedisQuery[Any]")


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
    """Why a server that is up refuses a command."""

    LOADING = "LOADING"
    MISCONF = "MISCONF"
    MASTERDOWN = "MASTERDOWN"
    """Before Redis 7 such a server says PONG."""
    CLUSTERDOWN = "CLUSTERDOWN"
    BUSY = "BUSY"
    MAX_CLIENTS = "MAX_CLIENTS"
    OTHER = "OTHER"


@dataclass(frozen=True)
class State:
    """A state in which a server refuses to work."""

    observed: str
    meaning: str


STATES: Mapping[Refusal, State] = {
    Refusal.LOADING: State(
        "it is loading its data set from disk",
        "it started a moment ago, or was restarted; this ends by itself, and until then nobody is served",
    ),
    Refusal.MISCONF: State(
        "it takes no writes, because its last snapshot failed",
        "what was written since then would be lost with the process: look at its disk and its log first",
    ),
    Refusal.MASTERDOWN: State(
        "it is a replica without its primary, and may not serve stale data",
        "either the primary is down or the network between them; this replica itself is well",
    ),
    Refusal.CLUSTERDOWN: State(
        "its cluster is down",
        "some hash slots have no primary; the nodes that are gone must come back or be replaced",
    ),
    Refusal.BUSY: State(
        "a script blocks it",
        "nobody else is served until the script ends or is killed",
    ),
    Refusal.MAX_CLIENTS: State(
        "it has as many clients as it may have",
        "somebody leaks connections, or `maxclients` or the limit of open files is too low",
    ),
    Refusal.OTHER: State("it answers with an error", "the server's own words are all that is known"),
}


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
    """A query that goes to every server of a target."""

    finds: str = ""
    """How servers are found that the target does not name, as `RedisTarget.finds`; empty where none are."""
    command: ClassVar[str]
    """The command that answers it, as access lists name it."""

    def permissions(self) -> tuple[Permission, ...]:
        """That command, and what finds the servers. AUTH needs no permission."""
        return (AclCommand(self.command), *DISCOVERY.get(self.finds, ()))

    def text(self) -> str:
        """As typed to the server."""
        return typed(self.command)


def typed(command: str) -> str:
    """A command of an access list as it is typed to a server: `SLOWLOG GET`."""
    return command.upper().replace("|", " ")


DISCOVERY: Mapping[str, tuple[Permission, ...]] = {
    "cluster": (AclCommand("cluster|nodes"),),
    "replicas": (AclCommand("info"),),
    "sentinel": (SentinelCommand("sentinel|get-master-addr-by-name"),),
    "sentinel, replicas": (
        SentinelCommand("sentinel|get-master-addr-by-name"),
        SentinelCommand("sentinel|replicas"),
    ),
}
"""What must be allowed to find servers, by how they are found."""


class OfServers(Expectation):
    """Judged by the servers of a target."""

    target: RedisTarget
    """The server, or the servers of one set or cluster; each of them is judged."""

    def query(self, kind: type[Q], **fields: Any) -> Q:
        """A query that goes to each of them."""
        return kind(self.target.name, finds=self.target.finds, **fields)


@dataclass(frozen=True)
class Server(Generic[A]):
    """One server of a target, and its reply to one query."""

    address: str
    """Its URL without credentials, as redis-cli takes it."""
    query: RedisQuery[Replies[A]]
    reply: Reply[A]

    @property
    def answer(self) -> A:
        """What it answered. Raises CouldNotObserve where it did not."""
        reply = self.reply
        if reply.answer is not None:
            return reply.answer
        if reply.problem is not None:
            # The target is down when all of its servers are, and then none of them is judged.
            raise CouldNotObserve(self.query, msgspec.structs.replace(reply.problem, target_down=False))
        if reply.refusal is not None:
            state = STATES[reply.refusal]
            raise self.unknown(f"{reply.node} does not answer: {state.observed} ({reply.error})", state.meaning)
        raise CouldNotObserve(self.query, Problem(kind=ProblemKind.UNREADABLE, text=f"{reply.node} said nothing"))

    def known(self, value: V | None, name: str) -> V:
        """A value that the judgement needs. Raises CouldNotObserve where the server does not say it."""
        if value is None:
            raise self.unsaid(name)
        return value

    def unsaid(self, name: str) -> CouldNotObserve:
        """The server does not say what is called `name`."""
        text = f"{self.reply.node} does not say {name}"
        advice = "its version does not know it, or the service that runs it hides it; a sentinel knows little else"
        return self.unknown(text, advice)

    def unknown(self, text: str, advice: str) -> CouldNotObserve:
        """What to raise where this server cannot be judged."""
        return CouldNotObserve(self.query, Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=advice))


def each_server(
    expectation: OfServers,
    query: RedisQuery[Replies[A]],
    observe: Observe,
    findings: Findings,
    judge: Callable[[Server[A], Findings], None],
) -> None:
    """
    Judge every server, each with findings of its own, also when another cannot be judged.

    Raises the first CouldNotObserve at the end.
    """
    judge_all(
        *(
            partial(judge, server, findings.on(server.address, server=server.address))
            for server in servers(expectation, query, observe(query))
        )
    )


def servers(expectation: OfServers, query: RedisQuery[Replies[A]], replies: Replies[A]) -> list[Server[A]]:
    """What was said, with the address of each server."""
    return [Server(expectation.target.address_of(reply.node), query, reply) for reply in replies.nodes]
