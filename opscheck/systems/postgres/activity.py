"""postgres.activity: how long queries and transactions take."""

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


class ActivityAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The sessions with the oldest transactions, and how many there are. The session of opscheck is not one of them."""

    at: datetime
    """The server's clock."""
    server_version: int
    """As server_version_num has it: 180004."""
    sessions: tuple[Session, ...]
    """The oldest first."""
    total: int
    silent: tuple[str, ...] = ()
    """The roles whose sessions do not show what they do, because track_activities is off for them."""


@dataclass(frozen=True)
class Activity(ServerQuery[ActivityAnswer], name="postgres.activity"):
    what = "the sessions that have a transaction or run a query, and since when"
    needs = (READ_SESSIONS,)


Pattern = Annotated[str, Field(min_length=1)]

SHOW_SESSION = Remedy(
    "Find out what the session does, and ask the owner of its application",
    'echo "select pid, application_name, usename, datname, client_addr, state, wait_event, '
    "clock_timestamp() - xact_start as in_transaction, clock_timestamp() - state_change as in_this_state "
    'from pg_stat_activity where pid = :pid" | psql {{ dsn }} -xv pid={{ pid }}',
)
# Each looks again: the session may have moved on, and the pid may be another's by now.
CANCEL = Remedy(
    "Cancel its query when nobody needs it",
    'echo "select pg_cancel_backend(pid) from pg_stat_activity where pid = :pid '
    "and state = 'active' and usename = :'role'\" | psql {{ dsn }} -v pid={{ pid }} -v role={{ role }}",
)
TERMINATE = Remedy(
    "End the session when it has forgotten its transaction",
    'echo "select pg_terminate_backend(pid) from pg_stat_activity where pid = :pid '
    "and state like 'idle in transaction%' and usename = :'role'\" "
    "| psql {{ dsn }} -v pid={{ pid }} -v role={{ role }}",
)
SET_STATEMENT_TIMEOUT = Remedy(
    "Set its role a statement_timeout, so that the server cancels the next one",
    'echo "alter role :\\"role\\" set statement_timeout = \'15min\'" '
    "| psql {{ dsn }} -v role={{ role }}  # for its next sessions",
)
SET_IDLE_TIMEOUT = Remedy(
    "Set its role an idle_in_transaction_session_timeout, so that the server ends the next one",
    'echo "alter role :\\"role\\" set idle_in_transaction_session_timeout = \'5min\'" '
    "| psql {{ dsn }} -v role={{ role }}  # for its next sessions",
)
SET_TRANSACTION_TIMEOUT = Remedy(
    "Set its role a transaction_timeout, so that the server ends the next one",
    'echo "alter role :\\"role\\" set transaction_timeout = \'30min\'" '
    "| psql {{ dsn }} -v role={{ role }}  # for its next sessions",
)


class Allowed(BaseModel):
    """Sessions that may take longer; every pattern that is given must match."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    application: Pattern | None = None
    """The application_name, with `*` and `?`."""
    role: Pattern | None = None
    """The role, with `*` and `?`."""
    database: Pattern | None = None
    """The database, with `*` and `?`."""
    at_most: Timeout | None = None
    """How long they may take at most; after that they are judged as every other. However long by default."""

    @property
    def patterns(self) -> dict[str, str]:
        return {name: value for name in ("application", "role", "database") if (value := getattr(self, name))}

    def covers(self, session: Session) -> bool:
        return all(fnmatchcase(getattr(session, name), pattern) for name, pattern in self.patterns.items())

    def lets(self, age: float) -> bool:
        """Whether it allows to have taken so many seconds."""
        return self.at_most is None or age <= self.at_most

    def __str__(self) -> str:
        who = " and ".join(f"{name} {pattern}" for name, pattern in self.patterns.items())
        return who if self.at_most is None else f"{who} for {self.at_most}"

    @model_validator(mode="after")
    def _means_somebody(self) -> Self:
        if all(set(pattern) <= {"*"} for pattern in self.patterns.values()):
            raise PydanticCustomError(
                "allows_everybody", "an application, role or database that is not `*`: it would allow everything"
            )
        return self


class PostgresActivity(InServer, check="postgres.activity"):
    """
    No query and no transaction runs longer than allowed.

    Clients' sessions and the parallel workers that help them are judged; autovacuum, walsenders and opscheck's own
    sessions are not. A query counts once, however many workers it has. What `allow` leaves out is measured.
    """

    any_limit_of = ("query", "transaction", "idle_in_transaction")
    remedies = (
        SHOW_SESSION,
        CANCEL,
        TERMINATE,
        SET_STATEMENT_TIMEOUT,
        SET_IDLE_TIMEOUT,
        SET_TRANSACTION_TIMEOUT,
    )
    fact_names: ClassVar = {
        "pid": "the session's process id",
        "application": "its application_name; missing when it gave none",
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
    """How long a query may run."""
    transaction: Graded[Duration] | None = None
    """How long a transaction may be open, whatever is done in it."""
    idle_in_transaction: Graded[Duration] | None = None
    """
    How long a session may do nothing inside a transaction, aborted ones included.

    It counts from when the session became idle, and not from the transaction's start.
    """
    allow: tuple[Allowed, ...] = (
        Allowed(application="pg_dump*", at_most=Duration("86400")),
        Allowed(application="vacuumdb", at_most=Duration("86400")),
    )
    """
    Sessions that may take longer than the limits; by default pg_dump, pg_dumpall and vacuumdb, a day.

    The application_name is what the client says of itself: whoever can log in can take another's.
    """

    def queries(self) -> Iterable[Query[Any]]:
        return (self.activity,)

    @property
    def activity(self) -> Activity:
        return Activity(self.target.name)
