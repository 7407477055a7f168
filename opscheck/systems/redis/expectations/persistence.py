"""What can be expected of what a Redis or Valkey server keeps on disk."""

from typing import ClassVar, Literal, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from opscheck.core.expectation import Remediation
from opscheck.core.units import Duration, Graded
from opscheck.systems.redis.expectations.base import OfInfo


class RedisPersistence(OfInfo, check="redis.persistence"):
    """
    What is written survives a restart: snapshots and the append-only file are written, and not too long ago.

    A snapshot or append-only file that cannot be written is found in any case. The age of the last snapshot is judged
    only while something has changed since; and the time that a server gives for it is not believed when it is that of
    its own start: until it has saved once, nobody knows whether it saves.
    """

    needs_severity = True
    # One name for each state: a command that names a state is left out of findings about another one.
    fact_names: ClassVar = {
        "failed": "the server's URL, when its last snapshot failed",
        "unwritten": "the server's URL, when its append-only file cannot be written",
        "unshortened": "the server's URL, when its append-only file cannot be rewritten",
        "off": "the server's URL, when its append-only file is off",
        "unsaved": "the server's URL, when what changed was not saved for too long",
    }
    default_remediation = Remediation(
        summary="Find out why it cannot write to its disk, mend that, and have it save at once",
        commands=(
            "redis-cli -u {{ failed }} info persistence | grep -E '^rdb_(last|changes)'",
            "redis-cli -u {{ failed }} config get dir  # is that disk full, gone or read-only?",
            "redis-cli -u {{ failed }} config get logfile  # the log says why; `fork` means vm.overcommit_memory",
            "redis-cli -u {{ failed }} bgsave  # once it is mended",
            "redis-cli -u {{ unwritten }} info persistence | grep '^aof_last_write_status'",
            "redis-cli -u {{ unwritten }} config get dir  # is that disk full, gone or read-only?",
            "redis-cli -u {{ unshortened }} info persistence | grep -E '^aof_(last|current|base)'",
            "redis-cli -u {{ unshortened }} bgrewriteaof  # once its disk has room for a second copy",
            "redis-cli -u {{ off }} config set appendonly yes  # writes the whole data set once; then `config rewrite`",
            "redis-cli -u {{ unsaved }} config get save  # empty means never",
            "redis-cli -u {{ unsaved }} bgsave",
        ),
    )

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
