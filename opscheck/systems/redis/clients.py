"""redis.clients: clients can connect to a Redis or Valkey server."""

from typing import ClassVar

from opscheck.core.field_types import CountLeft, ShareUsed
from opscheck.core.intervals import OverInterval
from opscheck.core.remedy import Former
from opscheck.core.units import Count, Graded
from opscheck.systems.redis.info import OfInfo
from opscheck.systems.redis.servers import PASSWORD, SERVER_FACTS, redis_cli

_BY_ADDRESS = "client list | grep -oE ' addr=[^:]+' | sort | uniq -c | sort -rn | head"
_LEAK = "Find the client that leaks connections and restart it"
FULL = redis_cli(
    f"{_LEAK}, or set `timeout` to close idle connections",
    _BY_ADDRESS,
    "config get timeout  # 0 never closes an idle connection",
    "config get maxclients",
)
MAX_CLIENTS = redis_cli(
    f"{_LEAK}, or raise maxclients",
    _BY_ADDRESS,
    "config get maxclients  # both need a free connection: retry until accepted",
)
REJECTING = redis_cli(
    f"{_LEAK}, or raise maxclients",
    "info clients | grep -E '^(connected_clients|maxclients|blocked_clients):'",
    _BY_ADDRESS,
)
BLOCKED = redis_cli(
    "Find the clients that wait for a key, and the producer that should fill it",
    "client list | grep -E 'flags=[a-zA-Z]*b' | grep -oE ' (addr|cmd)=[^ ]+'",
)


class RedisClients(OverInterval, OfInfo, check="redis.clients"):
    """
    Clients can connect, and none was rejected.

    The limit is the effective `maxclients`: a server with a low limit of open files reduces it at start, and INFO
    reports the reduced value. Replicas, cluster connections and opscheck's own connection count too. A server that
    rejects opscheck because of `maxclients` violates this expectation at its worst severity.
    """

    any_limit_of = ("used", "free", "rejected", "blocked")
    remedies = (PASSWORD, FULL, MAX_CLIENTS, REJECTING, BLOCKED)
    fact_names: ClassVar = SERVER_FACTS
    former_fact_names: ClassVar = {
        "full": Former("server", FULL),
        "max_clients": Former("server", MAX_CLIENTS),
        "rejecting": Former("server", REJECTING),
        "blocking": Former("server", BLOCKED),
    }

    used: ShareUsed | None = None
    """Maximum share of `maxclients` in use, in percent."""
    free: CountLeft | None = None
    """Minimum number of free client connections."""
    rejected: Graded[Count] | None = None
    """Maximum number of connections per minute rejected because of `maxclients`, over the interval."""
    blocked: Graded[Count] | None = None
    """Maximum number of clients that wait in a blocking command; for a queue, these are its idle workers."""
