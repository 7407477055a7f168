"""What can be expected of the clients of a Redis or Valkey server."""

from typing import ClassVar

from opscheck.core.expectation import Remediation
from opscheck.core.interval_expectation import OverInterval
from opscheck.core.limits import CountLeft, ShareUsed
from opscheck.core.units import Count, Graded
from opscheck.systems.redis.expectations.base import OfInfo


class RedisClients(OverInterval, OfInfo, check="redis.clients"):
    """
    Clients can connect: there is a place for one more, and nobody was turned away.

    The limit is the one in force. A server that may open few files lowers its `maxclients` when it starts, and INFO
    tells the lower one. Replicas and the connections of a cluster take places too, and so does opscheck's own. A
    server that turns opscheck itself away because it is full violates this expectation at its worst severity.
    """

    any_limit_of = ("used", "free", "rejected", "blocked")
    # One name for each state: a command that names a state is left out of findings about another one.
    fact_names: ClassVar = {
        "full": "the server's URL, when it has few places left",
        "max_clients": "the server's URL, when it takes no more clients",
        "rejecting": "the server's URL, when it turned clients away",
        "blocking": "the server's URL, when many clients wait for a key",
    }
    default_remediation = Remediation(
        summary="Find the client that leaks connections and restart it, or let idle ones be closed",
        commands=(
            "redis-cli -u {{ full }} client list | grep -oE ' addr=[^:]+' | sort | uniq -c | sort -rn | head",
            "redis-cli -u {{ full }} config get timeout  # 0 never closes an idle connection",
            "redis-cli -u {{ full }} config get maxclients",
            "redis-cli -u {{ max_clients }} client list | grep -oE ' addr=[^:]+' | sort | uniq -c | sort -rn | head",
            "redis-cli -u {{ max_clients }} config get maxclients  # both need a free place; try until one is let in",
            "redis-cli -u {{ rejecting }} info clients | grep -E '^(connected_clients|maxclients|blocked_clients):'",
            "redis-cli -u {{ rejecting }} client list | grep -oE ' addr=[^:]+' | sort | uniq -c | sort -rn | head",
            "redis-cli -u {{ blocking }} client list | grep -E 'flags=[a-zA-Z]*b' | grep -oE ' (addr|cmd)=[^ ]+'",
        ),
    )

    used: ShareUsed | None = None
    """How much may be used of the places for clients, in percent."""
    free: CountLeft | None = None
    """How many places must be left."""
    rejected: Graded[Count] | None = None
    """How many clients may be turned away in a minute because there is no place, over the interval."""
    blocked: Graded[Count] | None = None
    """How many clients may wait in a blocking command; for a queue, those are its idle workers."""
