"""Asks Redis and Valkey servers: one, several, or those that a cluster or sentinels know."""

from opscheck.probes.redis.session import RedisSession, open_session

__all__ = ["RedisSession", "open_session"]
