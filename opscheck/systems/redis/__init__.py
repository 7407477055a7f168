"""Redis and Valkey servers."""

from opscheck.bundle import bundled
from opscheck.core.system import Kind, System

SYSTEM = System(
    name="redis",
    kinds={
        "redis": Kind(
            target="opscheck.systems.redis.target:RedisTarget",
            probe="opscheck.systems.redis.probe",
            permissions="opscheck.systems.redis.permissions",
            client="redis",
            install="opscheck[redis]",
        ),
    },
    expectations={
        "redis.cache": "opscheck.systems.redis.expectations.cache:RedisCache",
        "redis.clients": "opscheck.systems.redis.expectations.clients:RedisClients",
        "redis.memory": "opscheck.systems.redis.expectations.memory:RedisMemory",
        "redis.persistence": "opscheck.systems.redis.expectations.persistence:RedisPersistence",
        "redis.ping": "opscheck.systems.redis.expectations.ping:RedisPong",
        "redis.replication": "opscheck.systems.redis.expectations.replication:RedisReplication",
    },
    checks=bundled("checks") / "redis",
)
