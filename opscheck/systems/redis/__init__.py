"""Redis and Valkey servers."""

from opscheck.bundle import bundled
from opscheck.core.system import Client, Kind, System

SYSTEM = System(
    name="redis",
    kinds={
        "redis": Kind(
            target="opscheck.systems.redis.target:RedisTarget",
            probe="opscheck.systems.redis.probe",
            permissions="opscheck.systems.redis.permissions",
            client=Client("opscheck[redis]", "redis"),
        ),
    },
    expectations={
        "redis.cache": "opscheck.systems.redis.cache:RedisCache",
        "redis.clients": "opscheck.systems.redis.clients:RedisClients",
        "redis.memory": "opscheck.systems.redis.memory:RedisMemory",
        "redis.persistence": "opscheck.systems.redis.persistence:RedisPersistence",
        "redis.ping": "opscheck.systems.redis.ping:RedisPong",
        "redis.replication": "opscheck.systems.redis.replication:RedisReplication",
    },
    checks=bundled("checks") / "redis",
    discover="opscheck.systems.redis.discovery:discover",
)
