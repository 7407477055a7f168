"""memcached servers. Only this module is imported before a policy has a target or a check of theirs."""

from pathlib import Path

from opscheck import Kind, System

SYSTEM = System(
    name="memcached",
    kinds={
        "memcached": Kind(
            target="opscheck_memcached.target:MemcachedTarget",
            probe="opscheck_memcached.probe",
            permissions="opscheck_memcached.permissions",
        ),
    },
    expectations={
        "memcached.connections": "opscheck_memcached.connections:MemcachedConnections",
        "memcached.memory": "opscheck_memcached.memory:MemcachedMemory",
    },
    checks=Path(__file__).parent / "checks",
)
