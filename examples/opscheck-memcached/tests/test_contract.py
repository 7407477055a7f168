"""The system holds to opscheck's contract."""

from contextlib import contextmanager
from typing import ClassVar

from memcached_server import memcached
from opscheck_memcached import SYSTEM
from opscheck_memcached.connections import MemcachedConnections
from opscheck_memcached.memory import MemcachedMemory
from opscheck_memcached.stats import ReadStats, Stats
from opscheck_memcached.target import MemcachedTarget

from opscheck.testing import expect
from opscheck.testing.contract import SECRET, SystemContract

TARGET = MemcachedTarget(kind="memcached", host="cache")
STATS = Stats(version="1.6", started=1, used=1, limit=2, evictions=0, connections=1, max_connections=9)


class TestContract(SystemContract):
    """Held with and without a real server."""

    system = SYSTEM
    expectations = (
        expect(MemcachedMemory, TARGET, used={"P1": "90%"}, evictions={"P2": 0}),
        expect(MemcachedConnections, TARGET, used={"P1": "80%"}),
    )
    answers: ClassVar = {ReadStats("target"): STATS}

    @classmethod
    def targets(cls, port):
        """With a user."""
        return [MemcachedTarget(kind="memcached", host="127.0.0.1", port=port, user="opscheck", password=SECRET)]

    @classmethod
    @contextmanager
    def running(cls):
        """A real memcached, where there is one."""
        try:
            with memcached() as port:
                yield MemcachedTarget(kind="memcached", host="127.0.0.1", port=port)
        except LookupError:
            yield None
