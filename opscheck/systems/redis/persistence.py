"""redis.persistence: snapshots and the append-only file of a Redis or Valkey server."""

from typing import ClassVar, Literal, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from opscheck.core.remedy import Former
from opscheck.core.units import Duration, Graded
from opscheck.systems.redis.info import OfInfo
from opscheck.systems.redis.servers import PASSWORD, SERVER_FACTS, redis_cli

_DISK = "config get dir  # is its disk full, missing or read-only?"
SNAPSHOT_FAILED = redis_cli(
    "Find out why it cannot write to its disk, fix that, and save a snapshot",
    "info persistence | grep -E '^rdb_(last|changes)'",
    _DISK,
    "config get logfile  # the log has the reason; `fork` points to vm.overcommit_memory",
    "bgsave  # once the cause is fixed",
)
WRITE_FAILED = redis_cli(
    "Find out why it cannot write to its disk, and fix that",
    "info persistence | grep '^aof_last_write_status'",
    _DISK,
)
REWRITE_FAILED = redis_cli(
    "Free disk space for a second copy of the append-only file, and rewrite it",
    "info persistence | grep -E '^aof_(last|current|base)'",
    "bgrewriteaof  # once its disk has space for a second copy",
)
APPEND_ONLY_OFF = redis_cli(
    "Enable the append-only file, at runtime and in the configuration file",
    "config set appendonly yes  # writes the whole data set once; then `config rewrite`",
)
UNSAVED = redis_cli(
    "Find out why snapshots are too rare, and save one now",
    "config get save  # empty means never",
    "bgsave",
)


class RedisPersistence(OfInfo, check="redis.persistence"):
    """
    Written data survives a restart: snapshots and the AOF are recent and succeed.

    A failed snapshot or a failed write of the append-only file is always a violation. The age of the last snapshot is
    judged only when data has changed since. A server that has not saved since its start reports its start as the last
    save; this time is not trusted.
    """

    needs_severity = True
    remedies = (PASSWORD, SNAPSHOT_FAILED, WRITE_FAILED, REWRITE_FAILED, APPEND_ONLY_OFF, UNSAVED)
    fact_names: ClassVar = SERVER_FACTS
    former_fact_names: ClassVar = {
        "failed": Former("server", SNAPSHOT_FAILED),
        "unwritten": Former("server", WRITE_FAILED),
        "unshortened": Former("server", REWRITE_FAILED),
        "off": Former("server", APPEND_ONLY_OFF),
        "unsaved": Former("server", UNSAVED),
    }

    by: Literal["any", "snapshot", "append-only", "both"] = "any"
    """
    The required persistence. `any`: the append-only file, or else snapshots within `age`; `snapshot` and `append-only`:
    that one; `both`: each of them.
    """
    age: Graded[Duration] | None = None
    """Maximum age of the last snapshot while data has changed since: the RPO."""

    @model_validator(mode="after")
    def _age_where_snapshots_count(self) -> Self:
        if self.by != "append-only" and self.age is None:
            raise PydanticCustomError(
                "limit_missing",
                "`age`, the maximum age of the last snapshot: without it, disabled snapshots pass",
            )
        if self.by == "append-only" and self.age is not None:
            raise PydanticCustomError("limit_unused", "no `age` with `by: append-only`, which judges no snapshot")
        return self
