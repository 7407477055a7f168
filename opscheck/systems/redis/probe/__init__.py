"""Queries Redis and Valkey servers: one, several, or those that a cluster or sentinels report."""

from opscheck.systems.redis.probe.session import RedisSession, open_session

__all__ = ["RedisSession", "open_session"]
