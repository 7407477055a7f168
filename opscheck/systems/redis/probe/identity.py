"""Which servers answer, and as whom they are asked."""

from collections import Counter
from collections.abc import Sequence

from opscheck.core.query import Identity
from opscheck.systems.redis.probe.asking import of_each, raised
from opscheck.systems.redis.probe.info import read_info
from opscheck.systems.redis.probe.node import Node
from opscheck.systems.redis.queries.info import ServerInfo

_ROLES = {True: "primary", False: "replica", None: "role unknown"}


def identity(nodes: Sequence[Node], timeout_s: float) -> Identity:
    """Product, version and role, of several servers counted. Raises ProbeError when none of them answers."""
    replies = of_each(nodes, read_info, timeout_s)
    if all(reply.problem is not None for reply in replies):
        raise raised(replies)
    names = Counter(_name(reply.answer) for reply in replies)
    told = [name if count == 1 else f"{name} ({count})" for name, count in names.items()]
    place = nodes[0].place
    how = ["a password" if place.password else "no password"] + ["TLS"] * place.tls
    return Identity(place="; ".join(told), user=place.user or "default", authenticated_by=" over ".join(how))


def _name(info: ServerInfo | None) -> str:
    if info is None:
        return "no answer"
    return f"{info.product or 'unknown version'}, {_ROLES[info.is_primary]}"
