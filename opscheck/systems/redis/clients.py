"""redis.clients: clients can connect to a Redis or Valkey server."""

from typing import ClassVar

from opscheck.core.field_types import CountLeft, ShareUsed
from opscheck.core.intervals import OverInterval
from opscheck.core.remedy import Former, Remedy
from opscheck.core.units import Count, Graded
from opscheck.systems.redis.info import OfInfo

_BY_ADDRESS = "redis-cli -u {{ server }} client list | grep -oE ' addr=[^:]+' | sort | uniq -c | sort -rn | head"
_LEAK = "Find the client that leaks connections and restart it"
FULL = Remedy(
    f"{_LEAK}, or let idle ones be closed",
    _BY_ADDRESS,
    "redis-cli -u {{ server }} config get timeout  # 0 never closes an idle connection",
    "redis-cli -u {{ server }} config get maxclients",
)
MAX_CLIENTS = Remedy(
    f"{_LEAK}, or raise maxclients",
    _BY_ADDRESS,
    "redis-cli -u {{ server }} config get maxclients  # both need a free place; try until one is let in",
)
REJECTING = Remedy(
    f"{_LEAK}, or raise maxclients",
    "redis-cli -u {{ server }} info clients | grep -E '^(connected_clients|maxclients|blocked_clients):'",
    _BY_ADDRESS,
)
BLOCKED = Remedy(
    "Find the clients that wait for a key, and why no one fills it",
    "redis-cli -u {{ server }} client list | grep -E 'flags=[a-zA-Z]*b' | grep -oE ' (addr|cmd)=[^ ]+'",
)


class RedisClients(OverInterval, OfInfo, check="redis.clients"):
    """
    Clients can connect, and none was rejected.

    The limit is the one in force. A server that may open few files lowers its `maxclients` when it starts, and INFO
    tells the lower one. Replicas and the connections of a cluster take places too, and so does opscheck's own. A server
    that turns opscheck itself away because it is full violates this expectation at its worst severity.
    """

    any_limit_of = ("used", "free", "rejected", "blocked")
    remedies = (FULL, MAX_CLIENTS, REJECTING, BLOCKED)
    fact_names: ClassVar = {"server": "the server's URL without credentials"}
    former_fact_names: ClassVar = {
        "full": Former("server", FULL),
        "max_clients": Former("server", MAX_CLIENTS),
        "rejecting": Former("server", REJECTING),
        "blocking": Former("server", BLOCKED),
    }

    used: ShareUsed | None = None
    """How much may be used of the places for clients, in percent."""
    free: CountLeft | None = None
    """How many places must be left."""
    rejected: Graded[Count] | None = None
    """How many clients may be turned away in a minute because there is no place, over the interval."""
    blocked: Graded[Count] | None = None
    """How many clients may wait in a blocking command; for a queue, those are its idle workers."""
