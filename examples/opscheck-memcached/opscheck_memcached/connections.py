"""The expectation of `memcached.connections`."""

from typing import ClassVar

from opscheck import Expectation, Problem, ProblemKind, Remedy, Severity, ShareUsed
from opscheck_memcached.stats import ReadStats
from opscheck_memcached.target import MemcachedTarget

FIND_CLIENTS = Remedy(
    "Find the client that opens too many connections; then fix its pool, or start memcached with a larger -c",
    "printf 'stats conns\\r\\nquit\\r\\n' | nc {{ host }} {{ port }} | grep addr",
)
START = Remedy(
    "Find out why memcached does not run, then start it",
    "systemctl status memcached  # where it runs as a service of systemd",
)


class MemcachedConnections(Expectation, check="memcached.connections"):
    """The server accepts connections, and they stay under its limit."""

    remedies: ClassVar = (FIND_CLIENTS, START)
    no_answer_remedies: ClassVar = (START,)

    target: MemcachedTarget
    used: ShareUsed
    """Share of the connection limit that is used. At 100% new clients wait until another one leaves."""

    def queries(self) -> list[ReadStats]:
        """The server's statistics."""
        return [ReadStats(self.target.name)]

    def no_answer(self, problem: Problem) -> Severity | None:
        """A server that refuses connections violates the claim; one that is silent leaves it unknown."""
        return self.ungraded_severity if problem.kind is ProblemKind.UNREACHABLE else None
