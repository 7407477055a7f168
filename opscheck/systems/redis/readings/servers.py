"""The servers of a target one by one: what each of them said, or why it did not."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from msgspec.structs import replace

from opscheck.core.findings import Observe
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.systems.redis.queries.base import RedisQuery, Replies, Reply
from opscheck.systems.redis.readings.states import STATES
from opscheck.systems.redis.target import RedisTarget

A = TypeVar("A")
V = TypeVar("V")


class OfRedis(Protocol):
    """An expectation of a Redis target."""

    @property
    def target(self) -> RedisTarget:
        """The servers."""
        ...


@dataclass(frozen=True)
class Server(Generic[A]):
    """One server of a target, and what it was asked."""

    address: str
    """Its URL without credentials, as redis-cli takes it."""
    query: RedisQuery[Replies[A]]
    reply: Reply[A]
    of_several: bool = False
    """Whether the target has others, so that its URL does not lead to this one."""

    @property
    def answer(self) -> A:
        """What it answered. Raises CouldNotObserve where it did not."""
        if self.reply.answer is None:
            raise self.unknown(_of_one(self.reply.problem) if self.reply.problem else _refusal(self.reply))
        return self.reply.answer

    def known(self, value: V | None, name: str) -> V:
        """A value that the judgement needs. Raises CouldNotObserve where the server does not say it."""
        if value is None:
            raise self.unsaid(name)
        return value

    def unsaid(self, name: str) -> CouldNotObserve:
        """The server does not say what is called `name`."""
        text = f"{self.reply.node} does not say {name}"
        advice = "its version does not know it, or the service that runs it hides it; a sentinel knows little else"
        return self.unknown(Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=advice))

    def unknown(self, problem: Problem) -> CouldNotObserve:
        """What to raise where this server cannot be judged."""
        return CouldNotObserve(self.query, problem)


def each_server(
    expectation: OfRedis,
    query: RedisQuery[Replies[A]],
    observe: Observe,
    judge: Callable[[Server[A]], None],
) -> None:
    """Judge every server, also when another cannot be judged. Raises the first CouldNotObserve at the end."""
    run_each(judge, servers(expectation, query, observe(query)))


def servers(expectation: OfRedis, query: RedisQuery[Replies[A]], replies: Replies[A]) -> list[Server[A]]:
    """What was said, with the address of each server."""
    target = expectation.target
    several = not target.is_one_server
    return [Server(target.address_of(reply.node), query, reply, several) for reply in replies.nodes]


def run_each(judge: Callable[[V], None], subjects: Iterable[V]) -> None:
    """Judge each subject, also when another cannot be judged. Raises the first CouldNotObserve at the end."""
    missing: list[CouldNotObserve] = []
    for subject in subjects:
        try:
            judge(subject)
        except CouldNotObserve as error:
            missing.append(error)
    if missing:
        raise missing[0]


def _of_one(problem: Problem) -> Problem:
    # The target is down when all of its servers are, and then none of them is judged.
    return replace(problem, target_down=False)


def _refusal(reply: Reply[Any]) -> Problem:
    if reply.refusal is None:
        return Problem(kind=ProblemKind.UNREADABLE, text=f"{reply.node} said nothing")
    state = STATES[reply.refusal]
    text = f"{reply.node} does not answer: {state.observed} ({reply.error})"
    return Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=state.meaning)
