"""
Queries one Redis or Valkey server, or several concurrently, so that a silent one delays no other.

Every query opens its own connection.
"""

import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from msgspec.structs import replace
from redis import exceptions

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.units import format_duration
from opscheck.systems.redis.ping import PingAnswer
from opscheck.systems.redis.probe.address import Address, NoHandshake, connect
from opscheck.systems.redis.probe.client import Client, Refused
from opscheck.systems.redis.servers import Refusal, Reply, acl_rule, typed
from opscheck.transport.concurrency import completed
from opscheck.transport.connect import GRACE_S, late, unreachable

# Of several servers, a silent one must not cost the answers of the others: their deadline is a little before the
# query's.
_SHARE = 0.9


@dataclass(frozen=True)
class Node:
    """One server, with its address and credentials."""

    address: Address
    context: ssl.SSLContext | None
    credentials: str = "the target's url"
    """The place of its user and password in the policy."""

    def contact(self, deadline: float) -> None:
        """Connect, and send nothing. Raises ProbeError."""
        started = time.monotonic()
        try:
            connect(self.address, None, deadline).close()
        except TimeoutError as error:
            raise self.late("connection to", started, target_down=True) from error
        except OSError as error:
            raise unreachable(error, str(self.address)) from error

    def ping(self, samples: int, deadline: float) -> PingAnswer:
        """Log in and PING. Raises ProbeError."""
        started, connect_s = time.monotonic(), 0.0
        pings: list[float] = []
        try:
            with self._client("ping", deadline) as client:
                connect_s = time.monotonic() - started
                while len(pings) < samples:
                    asked = time.monotonic()
                    client.ping()
                    pings.append(time.monotonic() - asked)
        except Refused as refused:
            connect_s = connect_s or time.monotonic() - started
            return PingAnswer(refusal=refused.refusal, error=refused.error, connect_s=connect_s, pings_s=tuple(pings))
        return PingAnswer(connect_s=connect_s, pings_s=tuple(pings))

    def say(self, command: str, *arguments: str, deadline: float) -> Any:
        """
        Log in, send `command`, named as in an access list, and return the reply.

        Raises ProbeError, and Refused where the server's own state is the reason.
        """
        with self._client(command, deadline) as client:
            return client.say(*typed(command).split(), *arguments)

    def unreadable(self, command: str) -> ProbeError:
        """The error for an invalid reply to `command`."""
        text = f"{self.address} sent an invalid reply to {typed(command)}"
        return ProbeError(ProblemKind.UNREADABLE, text, "is it a proxy, or another server than Redis?")

    def late(self, missing: str, started: float, *, target_down: bool = False) -> ProbeError:
        """The error for `missing` since `started`, on the monotonic clock: `answer from`."""
        waited = time.monotonic() - started
        return late(f"no {missing} {self.address} in {format_duration(waited)}", waited, target_down=target_down)

    @contextmanager
    def _client(self, command: str, deadline: float) -> Iterator[Client]:
        """A connection that has logged in, for `command`. Raises as `say`."""
        started = time.monotonic()
        try:
            with Client(self.address, self.context, deadline) as client:
                self._log_in(client)
                yield client
        except Refused as refused:
            self._raise_if_denied(refused, command)
            raise
        except NoHandshake as error:
            problem = self.late("TLS handshake with", started)
            problem.problem = replace(problem.problem, advice="is this a port without TLS?")
            raise problem from error
        except (TimeoutError, exceptions.TimeoutError) as error:
            raise self.late("answer from", started) from error
        except OSError as error:
            raise unreachable(error, str(self.address)) from error

    def _log_in(self, client: Client) -> None:
        try:
            client.log_in()
        except Refused as refused:
            if refused.refusal is not Refusal.OTHER or refused.code == "DENIED":
                raise  # a state of the server, not of the credentials
            # Without the server's message: "unknown command AUTH, with args beginning with …" quotes the password.
            text = f"{self.address} rejects the user and password in {self.credentials} ({refused.code})"
            rule = acl_rule(self.address.user or "opscheck", ["ping", "info"])
            advice = f"check them, or run as administrator: {rule}"
            raise ProbeError(ProblemKind.DENIED, text, advice, target_down=True) from None

    def _raise_if_denied(self, refused: Refused, command: str) -> None:
        user = self.address.user or "default"
        if refused.code == "NOPERM":
            text = f"user {user} has no permission for {typed(command)} on {self.address}"
            raise ProbeError(ProblemKind.DENIED, text, f"run as administrator: ACL SETUSER {user} +{command}")
        if refused.code == "NOAUTH":
            text = f"{self.address} requires a password, and {self.credentials} has none"
            rule = acl_rule("opscheck", ["ping", "info"])
            advice = f"write redis://opscheck:password@host; an administrator creates that user with: {rule}"
            raise ProbeError(ProblemKind.DENIED, text, advice, target_down=True)
        if refused.code == "DENIED":
            text = f"{self.address} is in protected mode, which rejects connections from other machines"
            advice = "set a password for its default user, or connect from its own machine"
            raise ProbeError(ProblemKind.DENIED, text, advice, target_down=True)


def of_each(nodes: Sequence[Node], ask: Callable[[Node, float], Any], timeout_s: float) -> list[Reply[Any]]:
    """The reply of each server, in their order. Raises ProbeError without an answer."""
    replies = _replies(nodes, ask, timeout_s)
    problems = [reply.problem for reply in replies if reply.problem is not None]
    if len(problems) < len(replies):
        return replies
    error = ProbeError(problems[0].kind, problems[0].text)
    # The target is down only when all of its servers are.
    error.problem = replace(problems[0], target_down=all(problem.target_down for problem in problems))
    raise error


def _replies(nodes: Sequence[Node], ask: Callable[[Node, float], Any], timeout_s: float) -> list[Reply[Any]]:
    started = time.monotonic()
    if len(nodes) == 1:
        return [_reply(nodes[0], ask, started + timeout_s + GRACE_S)]
    deadline = started + timeout_s * _SHARE
    jobs = [partial(_reply, node, ask, deadline) for node in nodes]
    replies: dict[int, Reply[Any]] = {}
    # A thread that waits for a name server is left behind.
    for number, reply in completed(jobs, deadline + timeout_s * (1 - _SHARE) / 2, threads=len(nodes)):
        if isinstance(reply, BaseException):
            raise reply  # a fault of opscheck
        replies[number] = reply
    return [
        replies.get(number) or Reply(node=str(node.address), problem=node.late("answer from", started).problem)
        for number, node in enumerate(nodes)
    ]


def _reply(node: Node, ask: Callable[[Node, float], Any], deadline: float) -> Reply[Any]:
    try:
        return Reply(node=str(node.address), answer=ask(node, deadline))
    except Refused as refused:
        return Reply(node=str(node.address), refusal=refused.refusal, error=refused.error)
    except ProbeError as error:
        return Reply(node=str(node.address), problem=error.problem)
