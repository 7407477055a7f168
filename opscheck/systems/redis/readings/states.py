"""The states in which a server refuses to work, in words."""

from collections.abc import Mapping
from dataclasses import dataclass

from opscheck.systems.redis.queries.base import Refusal


@dataclass(frozen=True)
class State:
    """A state in which a server refuses to work."""

    observed: str
    meaning: str
    fact: str | None
    """The fact by which remediation commands know it."""


STATES: Mapping[Refusal, State] = {
    Refusal.LOADING: State(
        "it is loading its data set from disk",
        "it started a moment ago, or was restarted; this ends by itself, and until then nobody is served",
        "loading",
    ),
    Refusal.MISCONF: State(
        "it takes no writes, because its last snapshot failed",
        "what was written since then would be lost with the process: look at its disk and its log first",
        "misconf",
    ),
    Refusal.MASTERDOWN: State(
        "it is a replica without its primary, and may not serve stale data",
        "either the primary is down or the network between them; this replica itself is well",
        "masterdown",
    ),
    Refusal.CLUSTERDOWN: State(
        "its cluster is down",
        "some hash slots have no primary; the nodes that are gone must come back or be replaced",
        "clusterdown",
    ),
    Refusal.BUSY: State(
        "a script blocks it",
        "nobody else is served until the script ends or is killed",
        "busy",
    ),
    Refusal.MAX_CLIENTS: State(
        "it has as many clients as it may have",
        "somebody leaks connections, or `maxclients` or the limit of open files is too low",
        "max_clients",
    ),
    Refusal.OTHER: State("it answers with an error", "the server's own words are all that is known", None),
}
