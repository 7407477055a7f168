"""The servers of a target: queries to each of them, their replies, and their states."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from opscheck.core.expectation import Expectation
from opscheck.core.findings import Findings, Observe, judge_all
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.query import Permission, Query
from opscheck.core.record import Finding
from opscheck.core.remedy import Remedy
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
        """CONFIG GET cannot be allowed for a single setting."""
        return "it reads every setting, including passwords" if self.command == "config|get" else ""


@dataclass(frozen=True)
class SentinelCommand(Permission):
    """A command that the access list of each sentinel must allow."""

    command: str

    def text(self) -> str:
        """The command, and where it is needed."""
        return f"{self.command} at the sentinels"


def acl_rule(user: str, commands: Iterable[str]) -> str:
    """The ACL command that allows `user` these commands and nothing else; no keys, no channels."""
    allowed = " ".join(f"+{command}" for command in sorted(set(commands)))
    return f"ACL SETUSER {user} on >PASSWORD resetkeys resetchannels -@all {allowed}".rstrip()


class Refusal(StrEnum):
    """Reason why a running server refuses a command."""

    LOADING = "LOADING"
    MISCONF = "MISCONF"
    MASTERDOWN = "MASTERDOWN"
    """Before Redis 7 such a server replies PONG."""
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
        "loading its data set from disk",
        "it was started or restarted recently, and serves no client until the data is loaded",
    ),
    Refusal.MISCONF: State(
        "refuses writes because its last snapshot failed",
        "data written since then is in memory only: check its disk and its log before a restart",
    ),
    Refusal.MASTERDOWN: State(
        "replica without a link to its primary refuses stale reads",
        "the primary or the network to it is down; the replica itself is healthy",
    ),
    Refusal.CLUSTERDOWN: State(
        "its cluster is down",
        "some hash slots have no primary; restart or replace the failed nodes",
    ),
    Refusal.BUSY: State(
        "blocked by a running script",
        "it serves no other client until the script ends or is killed",
    ),
    Refusal.MAX_CLIENTS: State(
        "maximum number of clients reached",
        "a client leaks connections, or `maxclients` or the limit of open files is too low",
    ),
    Refusal.OTHER: State("answers with an error", "the error message of the server is in the evidence"),
}


class Reply(msgspec.Struct, Generic[A], frozen=True, kw_only=True):
    """The reply of one server: an answer, a refusal, or a problem."""

    node: str
    """The server, as host:port or the path of its socket."""
    answer: A | None = None
    refusal: Refusal | None = None
    error: str = ""
    """The server's error message when it refused."""
    problem: Problem | None = None


class Replies(msgspec.Struct, Generic[A], frozen=True, kw_only=True):
    """The replies of the servers of a target, in their order; at least one."""

    nodes: tuple[Reply[A], ...]

    @property
    def epoch(self) -> str:
        """Empty: each server has its own, in its answer."""
        return ""


@dataclass(frozen=True)
class RedisQuery(Query[A], Generic[A]):
    """A query that goes to every server of a target."""

    finds: str = ""
    """The discovery of further servers, as `RedisTarget.finds`; empty for none."""
    command: ClassVar[str]
    """The Redis command, as access lists name it."""

    def permissions(self) -> tuple[Permission, ...]:
        """Its command, and those of the discovery. AUTH needs no permission."""
        return (AclCommand(self.command), *DISCOVERY.get(self.finds, ()))

    def text(self) -> str:
        """The command as it is typed into redis-cli."""
        return typed(self.command)


def typed(command: str) -> str:
    """A command of an access list as it is typed into redis-cli: `SLOWLOG GET`."""
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
"""The permissions of each kind of discovery."""


PASSWORD = Remedy("Set REDISCLI_AUTH to the password in the target's `url` first")
SERVER_FACTS: Mapping[str, str] = {
    "server": "the server's URL without credentials",
    "connection": "the options of redis-cli that connect to the server",
}
"""The values of findings about one server."""


def redis_cli(summary: str, *commands: str) -> Remedy:
    """A remedy of redis-cli commands, each to the server of the finding."""
    return Remedy(summary, *(f"redis-cli {{{{ connection }}}} {one}" for one in commands))


class OfServers(Expectation):
    """Base of expectations about the servers of a target."""

    target: RedisTarget
    """The server, or the servers of one set or cluster; each of them is judged."""

    def query(self, kind: type[Q], **fields: Any) -> Q:
        """A query to each of them."""
        return kind(self.target.name, finds=self.target.finds, **fields)

    def finding(self, *, remedies: Sequence[Remedy] = (), **parts: Any) -> Finding:
        """A violation; its remedy mentions the password where no command contains it."""
        prints_commands = self.target.is_one_server or bool(parts.get("facts"))
        missing = [PASSWORD] if remedies and prints_commands and self.target.hides_password else []
        return super().finding(remedies=[*remedies, *missing], **parts)


@dataclass(frozen=True)
class Server(Generic[A]):
    """One server of a target, and its reply to one query."""

    address: str
    """Its URL without credentials."""
    connection: tuple[str, ...]
    """The options of redis-cli that connect to it; empty for a target of one server, which has its own."""
    query: RedisQuery[Replies[A]]
    reply: Reply[A]

    @property
    def facts(self) -> dict[str, Any]:
        """The values of findings about it; those of a single server are its target's."""
        return {"server": self.address, **({"connection": self.connection} if self.connection else {})}

    @property
    def answer(self) -> A:
        """Its answer. Raises CouldNotObserve without one."""
        reply = self.reply
        if reply.answer is not None:
            return reply.answer
        if reply.problem is not None:
            # The target is down only when all of its servers are; this method is then never called.
            raise CouldNotObserve(self.query, msgspec.structs.replace(reply.problem, target_down=False))
        if reply.refusal is not None:
            state = STATES[reply.refusal]
            raise self.unknown(f"{reply.node} refuses the query: {state.observed} ({reply.error})", state.meaning)
        raise CouldNotObserve(self.query, Problem(kind=ProblemKind.UNREADABLE, text=f"{reply.node} sent no answer"))

    def known(self, value: V | None, name: str) -> V:
        """A value that the check needs. Raises CouldNotObserve where the server does not report it."""
        if value is None:
            raise self.unreported(name)
        return value

    def unreported(self, name: str) -> CouldNotObserve:
        """The error for a value `name` that the server does not report."""
        text = f"{self.reply.node} does not report {name}"
        advice = "its version is too old, a managed service hides it, or the server is a sentinel"
        return self.unknown(text, advice)

    def unknown(self, text: str, advice: str) -> CouldNotObserve:
        """The error for a server that cannot be judged."""
        return CouldNotObserve(self.query, Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=advice))


def each_server(
    expectation: OfServers,
    query: RedisQuery[Replies[A]],
    observe: Observe,
    findings: Findings,
    judge: Callable[[Server[A], Findings], None],
) -> None:
    """
    Judge every server, even when another cannot be judged.

    Raises the first CouldNotObserve at the end.
    """
    judge_all(
        *(
            partial(judge, server, findings.on(server.address, **server.facts))
            for server in servers(expectation, query, observe(query))
        )
    )


def servers(expectation: OfServers, query: RedisQuery[Replies[A]], replies: Replies[A]) -> list[Server[A]]:
    """The replies, each with the address of its server."""
    target = expectation.target
    connections = [() if target.is_one_server else target.connection_to(reply.node) for reply in replies.nodes]
    return [
        Server(target.address_of(reply.node), connection, query, reply)
        for connection, reply in zip(connections, replies.nodes, strict=True)
    ]
