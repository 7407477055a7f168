"""What pg_stat_statements counts: how often each statement ran, and how long it took."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from opscheck.systems.postgres.queries.base import READ_SESSIONS, DatabaseQuery


class Place(NamedTuple):
    """Where the text of a statement is looked up: an id means something in its database alone."""

    database: str
    queryid: int


class StatementCounts(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """How often a statement ran, and how long, since its counters began."""

    role: str
    database: str
    queryid: int
    toplevel: bool
    """False for one that a function executed."""
    calls: int
    milliseconds: float
    """All executions together, planning left out."""
    since: float | None
    """When its counters began, in seconds since 1970; None before PostgreSQL 17."""

    @property
    def place(self) -> Place:
        """Where its text is found."""
        return Place(self.database, self.queryid)


class StatementCounters(msgspec.Struct, frozen=True, kw_only=True):
    """The statements with the most execution time, utility statements with them."""

    system: str
    """The system identifier of the cluster."""
    reset: float | None
    """When all counters were reset, in seconds since 1970; None where nobody knows."""
    started: float
    """When the server started, in seconds since 1970."""
    server_version: int
    extension_schema: str
    most: int
    """`pg_stat_statements.max`: how many are kept before the rarest are evicted."""
    evictions: int | None
    """How often that has happened; None before PostgreSQL 14."""
    found: int
    """How many there are; those with the least execution time are left out of `statements`."""
    statements: tuple[StatementCounts, ...]

    @property
    def epoch(self) -> str:
        """Counters of another cluster, of a standby that took over, or before a reset cannot be compared."""
        return f"{self.system} {self.started if self.reset is None else self.reset}"

    @property
    def counting_since(self) -> datetime | None:
        """When they were nothing."""
        return None if self.reset is None else datetime.fromtimestamp(self.reset, UTC)

    @property
    def left_out_below(self) -> float | None:
        """No statement that was left out has executed longer than this, in milliseconds; None if none was."""
        if self.found <= len(self.statements):
            return None
        return min((one.milliseconds for one in self.statements), default=0.0)


class StatementText(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What a statement looks like."""

    database: str
    queryid: int
    utility: bool
    """True for what is no SELECT, INSERT, UPDATE, DELETE or MERGE: COPY, VACUUM, CREATE INDEX."""
    text: str
    """Without the values in it; empty for a utility statement, which may hold a password, and for the rarest."""

    @property
    def place(self) -> Place:
        """Where it belongs."""
        return Place(self.database, self.queryid)


class StatementTexts(msgspec.Struct, frozen=True, kw_only=True):
    """The texts of the statements with the most execution time."""

    texts: tuple[StatementText, ...]


@dataclass(frozen=True)
class CountStatements(DatabaseQuery[StatementCounters], name="postgres.statement-counters", remembered=True):
    """How often statements ran in all databases, from the extension in this one."""

    needs = (READ_SESSIONS,)

    def asked_for(self) -> str:
        """For people."""
        return "the counters of pg_stat_statements"


@dataclass(frozen=True)
class ReadStatements(DatabaseQuery[StatementTexts], name="postgres.statement-texts"):
    """The texts of the statements that are counted, which need not be kept from run to run."""

    needs = (READ_SESSIONS,)

    def asked_for(self) -> str:
        """For people."""
        return "the texts of pg_stat_statements, without their values"
