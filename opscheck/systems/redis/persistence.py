"""redis.persistence: what is written to a Redis or Valkey server survives a restart."""

from typing import ClassVar, Literal, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from opscheck.core.remedy import Former, Remedy
from opscheck.core.units import Duration, Graded
from opscheck.systems.redis.info import OfInfo

_DISK = "redis-cli -u {{ server }} config get dir  # is that disk full, gone or read-only?"
SNAPSHOT_FAILED = Remedy(
    "Find out why it cannot write to its disk, fix that, and have it save at once",
    "redis-cli -u {{ server }} info persistence | grep -E '^rdb_(last|changes)'",
    _DISK,
    "redis-cli -u {{ server }} config get logfile  # the log says why; `fork` means vm.overcommit_memory",
    "redis-cli -u {{ server }} bgsave  # once it is mended",
)
WRITE_FAILED = Remedy(
    "Find out why it cannot write to its disk, and fix that",
    "redis-cli -u {{ server }} info persistence | grep '^aof_last_write_status'",
    _DISK,
)
REWRITE_FAILED = Remedy(
    "Give its disk room for a second copy of the append-only file, and have it rewritten",
    "redis-cli -u {{ server }} info persistence | grep -E '^aof_(last|current|base)'",
    "redis-cli -u {{ server }} bgrewriteaof  # once its disk has room for a second copy",
)
APPEND_ONLY_OFF = Remedy(
    "Turn the append-only file on, here and in the configuration file",
    "redis-cli -u {{ server }} config set appendonly yes  # writes the whole data set once; then `config rewrite`",
)
UNSAVED = Remedy(
    "Find out why it saves too seldom, and have it save at once",
    "redis-cli -u {{ server }} config get save  # empty means never",
    "redis-cli -u {{ server }} bgsave",
)


class RedisPersistence(OfInfo, check="redis.persistence"):
    """
    Written data survives a restart: snapshots and the AOF are recent and succeed.

    A snapshot or append-only file that cannot be written is found in any case. The age of the last snapshot is judged
    only while something has changed since; and the time that a server gives for it is not believed when it is that of
    its own start: until it has saved once, nobody knows whether it saves.
    """

    needs_severity = True
    remedies = (SNAPSHOT_FAILED, WRITE_FAILED, REWRITE_FAILED, APPEND_ONLY_OFF, UNSAVED)
    fact_names: ClassVar = {"server": "the server's URL without credentials"}
    former_fact_names: ClassVar = {
        "failed": Former("server", SNAPSHOT_FAILED),
        "unwritten": Former("server", WRITE_FAILED),
        "unshortened": Former("server", REWRITE_FAILED),
        "off": Former("server", APPEND_ONLY_OFF),
        "unsaved": Former("server", UNSAVED),
    }

    by: Literal["any", "snapshot", "append-only", "both"] = "any"
    """
    What keeps the data. `any`: the append-only file, or else snapshots that are as young as `age` says; `snapshot` and
    `append-only`: that one, whatever the other does.
    """
    age: Graded[Duration] | None = None
    """How long ago the last snapshot may be while something has changed since; what may be lost."""

    @model_validator(mode="after")
    def _age_where_snapshots_count(self) -> Self:
        if self.by != "append-only" and self.age is None:
            raise PydanticCustomError(
                "limit_missing", "`age`: how old the last snapshot may be; without it, one that is off would pass"
            )
        if self.by == "append-only" and self.age is not None:
            raise PydanticCustomError("limit_unused", "no `age` beside `by: append-only`, which judges no snapshot")
        return self
