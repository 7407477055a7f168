"""postgres.activity: long queries and transactions."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Annotated, Any, ClassVar, Self

import msgspec
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from opscheck.core.query import Query
from opscheck.core.remedy import Former, Remedy
from opscheck.core.units import Duration, Graded, Timeout
from opscheck.systems.postgres.server import READ_SESSIONS, InServer, ServerQuery
from opscheck.systems.postgres.sessions import Session

_NUMBER_OF_STANDBYS = re.compile(r"\s*(?:(?:first|any)\s+)?(\d+)\s*\(", re.IGNORECASE)


class ActivityAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The sessions with the oldest transactions, and the number of all. opscheck's own session is left out."""

    at: datetime
    """The server's clock."""
    server_version: int
    """The server_version_num: 180004."""
    sessions: tuple[Session, ...]
    """The oldest first."""
    total: int
    silent: tuple[str, ...] = ()
    """The roles with track_activities off, whose activity is hidden."""
    synchronous_standby_names: str = ""
    synchronous_standbys: int | None = None
    """The connected standbys that confirm commits; None in older snapshots."""

    @property
    def standbys_required(self) -> int:
        """Number of standbys that must confirm a commit, from `FIRST 2 (a, b)`, `ANY 1 (a, b)` or a list."""
        number = _NUMBER_OF_STANDBYS.match(self.synchronous_standby_names)
        return int(number[1]) if number else int(bool(self.synchronous_standby_names.strip()))


@dataclass(frozen=True)
class Activity(ServerQuery[ActivityAnswer], name="postgres.activity"):
    what = "the sessions with a transaction or a running query, and their start times"
    needs = (READ_SESSIONS,)


Pattern = Annotated[str, Field(min_length=1)]

SHOW_SESSION = Remedy(
    "Look at the session, and contact the owner of its application",
    'echo "select pid, application_name, usename, datname, client_addr, state, wait_event, '
    "clock_timestamp() - xact_start as in_transaction, clock_timestamp() - state_change as in_this_state "
    'from pg_stat_activity where pid = :pid" | psql {{ dsn }} -xv pid={{ pid }}',
)
# Each verifies the state again: the session may have moved on, and the pid may belong to another one.
CANCEL = Remedy(
    "Cancel its query if its result is not needed",
    'echo "select pg_cancel_backend(pid) from pg_stat_activity where pid = :pid '
    "and state = 'active' and usename = :'role'\" "
    "| psql {{ dsn }} -v pid={{ pid }} -v role={{ role }}  # as a superuser",
)
TERMINATE = Remedy(
    "End the session if its transaction was forgotten",
    'echo "select pg_terminate_backend(pid) from pg_stat_activity where pid = :pid '
    "and state like 'idle in transaction%' and usename = :'role'\" "
    "| psql {{ dsn }} -v pid={{ pid }} -v role={{ role }}  # as a superuser",
)
SET_STATEMENT_TIMEOUT = Remedy(
    "Set a statement_timeout for its role, so that the server cancels the next one",
    'echo "alter role :\\"role\\" set statement_timeout = \'15min\'" '
    "| psql {{ dsn }} -v role={{ role }}  # as a superuser; applies to its next sessions",
)
SET_IDLE_TIMEOUT = Remedy(
    "Set an idle_in_transaction_session_timeout for its role, so that the server ends the next one",
    'echo "alter role :\\"role\\" set idle_in_transaction_session_timeout = \'5min\'" '
    "| psql {{ dsn }} -v role={{ role }}  # as a superuser; applies to its next sessions",
)
SET_TRANSACTION_TIMEOUT = Remedy(
    "Set a transaction_timeout for its role, so that the server ends the next one",
    'echo "alter role :\\"role\\" set transaction_timeout = \'30min\'" '
    "| psql {{ dsn }} -v role={{ role }}  # as a superuser; applies to its next sessions",
)

# A cancelled commit stays on this server only: neither a cancel nor a timeout is a remedy for a commit that waits.
SHOW_STANDBYS = Remedy(
    "Find out why the synchronous standby does not confirm; do not cancel the commits, a failover would lose them",
    "psql {{ dsn }} -c 'show synchronous_standby_names' "
    "-c 'select application_name, client_addr, state, sync_state from pg_stat_replication'",
)


class Allowed(BaseModel):
    """Sessions that may take longer; every given pattern must match."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    application: Pattern | None = None
    """The application_name, with `*` and `?`."""
    role: Pattern | None = None
    """The role, with `*` and `?`."""
    database: Pattern | None = None
    """The database, with `*` and `?`."""
    at_most: Timeout | None = None
    """Their maximum duration; after that they are judged as all others. Unlimited by default."""

    @property
    def patterns(self) -> dict[str, str]:
        return {name: value for name in ("application", "role", "database") if (value := getattr(self, name))}

    def covers(self, session: Session) -> bool:
        return all(fnmatchcase(getattr(session, name), pattern) for name, pattern in self.patterns.items())

    def lets(self, age: float) -> bool:
        """True when it allows a duration of so many seconds."""
        return self.at_most is None or age <= self.at_most

    def __str__(self) -> str:
        who = " and ".join(f"{name} {pattern}" for name, pattern in self.patterns.items())
        return who if self.at_most is None else f"{who} for {self.at_most}"

    @model_validator(mode="after")
    def _is_selective(self) -> Self:
        if all(set(pattern) <= {"*"} for pattern in self.patterns.values()):
            raise PydanticCustomError(
                "allows_everybody", "an application, role or database other than `*`, which would allow everything"
            )
        return self


class PostgresActivity(InServer, check="postgres.activity"):
    """
    No query and no transaction runs longer than allowed.

    Client sessions and their parallel workers are judged; autovacuum, walsenders and opscheck's own sessions are not.
    A query counts once, regardless of its workers. Sessions that `allow` excludes are still measured. Commits that
    wait for a synchronous standby that is not connected are one finding at `severity`, once one has waited longer than
    a standby takes to reconnect.
    """

    any_limit_of = ("query", "transaction", "idle_in_transaction")
    remedies = (
        SHOW_SESSION,
        CANCEL,
        TERMINATE,
        SET_STATEMENT_TIMEOUT,
        SET_IDLE_TIMEOUT,
        SET_TRANSACTION_TIMEOUT,
        SHOW_STANDBYS,
    )
    fact_names: ClassVar = {
        "pid": "the session's process id",
        "application": "its application_name; missing when it set none",
        "role": "its role",
        "database": "its database",
    }
    former_fact_names: ClassVar = {
        "running_pid": Former("pid", CANCEL),
        "idle_pid": Former("pid", TERMINATE),
        "running_role": Former("role", SET_STATEMENT_TIMEOUT),
        "idle_role": Former("role", SET_IDLE_TIMEOUT),
        "transaction_role": Former("role", SET_TRANSACTION_TIMEOUT),
    }

    query: Graded[Duration] | None = None
    """Maximum duration of a query."""
    transaction: Graded[Duration] | None = None
    """Maximum duration of a transaction, busy or idle."""
    idle_in_transaction: Graded[Duration] | None = None
    """
    Maximum idle time inside a transaction, aborted ones included.

    It counts from the moment when the session became idle, not from the transaction's start.
    """
    allow: tuple[Allowed, ...] = (
        Allowed(application="pg_dump*", at_most=Duration("86400")),
        Allowed(application="vacuumdb", at_most=Duration("86400")),
    )
    """
    Sessions that may take longer than the limits; by default pg_dump, pg_dumpall and vacuumdb for a day.

    A client chooses its application_name freely, and may use another one's.
    """

    def queries(self) -> Iterable[Query[Any]]:
        return (self.activity,)

    @property
    def activity(self) -> Activity:
        return Activity(self.target.name)
