"""What a PING tells of a server."""

from statistics import median

from opscheck.core.units import format_duration
from opscheck.systems.redis.queries.ping import PingAnswer


def ping_latency(answer: PingAnswer) -> float:
    """The median round trip in seconds. The first PING is left out: a new connection is slower than an open one."""
    return median(answer.pings_s[1:] or answer.pings_s)


def described(answer: PingAnswer) -> str:
    """What the latency is made of."""
    return f"median of {len(answer.pings_s[1:]) or 1}, connecting took {format_duration(answer.connect_s)}"
