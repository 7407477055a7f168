"""What all tests share: the servers that live until the end, and property tests that are not hurried."""

from hypothesis import HealthCheck, settings

from tests.servers.pgbouncer import pgbouncer_program
from tests.servers.postgres import admin, cluster, clusters, installation
from tests.servers.redis_versions import redis_program

# Imported in more than one conftest.py, each would be another fixture with servers of its own.
__all__ = ["admin", "cluster", "clusters", "installation", "pgbouncer_program", "redis_program"]

# How long an example takes says how busy the machine is, and nothing of what is tested.
settings.register_profile("opscheck", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("opscheck")
