"""Servers that have not finished starting."""

from opscheck.core.observation import Problem, ProblemKind
from opscheck.systems.redis.queries.base import Refusal
from opscheck.systems.redis.queries.info import ServerInfo
from opscheck.systems.redis.readings.servers import Server
from opscheck.systems.redis.readings.states import STATES


def loaded(server: Server[ServerInfo]) -> ServerInfo:
    """What a server says of itself once its data set is there. Raises CouldNotObserve while it loads."""
    info = server.answer
    if info.loading or info.async_loading:
        state = STATES[Refusal.LOADING]
        text = f"{server.reply.node}: {state.observed}, so its numbers say nothing yet"
        raise server.unknown(Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=state.meaning))
    return info
