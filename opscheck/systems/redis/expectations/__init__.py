"""What can be expected of a Redis or Valkey server, a module per field of work."""

from opscheck.systems.redis.expectations import cache, clients, memory, persistence, ping, replication

# To import this package makes all of them known under the names of their checks.
__all__ = ["cache", "clients", "memory", "persistence", "ping", "replication"]
