"""What a server keeps dead rows for: sessions, prepared transactions, replication slots and standbys."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import msgspec

from opscheck.core.remedy import Fact, Former, Remedy
from opscheck.systems.postgres.databases import connectable
from opscheck.systems.postgres.server import READ_SESSIONS, ServerQuery

_MANY = 1_000_000


class HolderKind(StrEnum):
    """What keeps old rows from being removed."""

    SESSION = "session"
    PREPARED = "prepared transaction"
    SLOT = "replication slot"
    STANDBY = "standby"


class XminHolder(msgspec.Struct, frozen=True, kw_only=True):
    """Something for whose sake vacuum must keep rows that are dead."""

    kind: HolderKind
    name: str
    """application_name of a session or standby, gid of a prepared transaction, name of a slot."""
    age: int
    """How many transactions ago it began to look."""
    database: str = ""
    """Where it keeps them; empty where it does in every database."""
    role: str = ""
    pid: int | None = None
    state: str = ""
    """Of a session."""
    since: datetime | None = None
    """Since when it holds them, at least; slots and standbys mostly do not show it."""
    active: bool = True
    """False for a slot without a consumer."""
    catalog_only: bool = False
    """True for a slot that keeps rows of system catalogs only."""


class XminHolders(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds the oldest rows, the oldest first, and the time of the server's clock."""

    holders: tuple[XminHolder, ...]
    clock: datetime


@dataclass(frozen=True)
class ListXminHolders(ServerQuery[XminHolders], name="postgres.xmin-holders"):
    what = "which sessions, prepared transactions, slots and standbys keep dead rows from being removed"
    needs = (READ_SESSIONS,)


_END = "End what keeps dead rows from being removed"
# Should the session have ended since, its pid may be another's.
END_SESSION = Remedy(
    _END,
    "echo \"select pg_terminate_backend(pid) from pg_stat_activity where pid = :'pid' "
    "and xact_start = :'began'\" | psql {{ dsn }} -v pid={{ pid }} -v began={{ began }}",
)
# psql takes a DSN or the name of a database, not both; it knows the rest of the DSN when it connects again.
ROLL_BACK = Remedy(
    _END,
    "printf '%s\\n' '\\connect :\"database\"' \"rollback prepared :'gid'\" "
    "| psql {{ dsn }} -v ON_ERROR_STOP=1 -v database={{ gid_database }} -v gid={{ gid }}",
)
DROP_SLOT = Remedy(
    _END,
    "echo \"select pg_drop_replication_slot(:'slot')\" | psql {{ dsn }} -v slot={{ slot }}"
    "  # only when nobody comes back for it: its reader must then be built anew",
)
WAIT_OR_END = Remedy(f"{_END}: a long query on a standby, or the reader of a slot that is behind")
HOLDER_REMEDIES = (END_SESSION, ROLL_BACK, DROP_SLOT, WAIT_OR_END)
HOLDER_FACTS = {
    "pid": "the session that keeps the oldest dead rows from being removed",
    "began": "when its transaction began",
    "gid": "the prepared transaction that keeps them",
    "gid_database": "the database of that transaction",
    "slot": "the replication slot that keeps them and that nobody reads from",
}
FORMER_HOLDER_FACTS = {
    "holder_pid": Former("pid", END_SESSION),
    "holder_since": Former("began", END_SESSION),
    "holder_gid": Former("gid", ROLL_BACK),
    "holder_database": Former("gid_database", ROLL_BACK),
    "holder_slot": Former("slot", DROP_SLOT),
}


def ending(holder: XminHolder | None) -> tuple[tuple[Remedy, ...], dict[str, Fact]]:
    """What ends it, and the values for that: a standby cannot be ended from here, nor may a slot in use be dropped."""
    if holder is None:
        return (), {}
    if holder.kind is HolderKind.SESSION and holder.since is not None and holder.pid is not None:
        return (END_SESSION,), {"pid": holder.pid, "began": holder.since.isoformat()}
    if holder.kind is HolderKind.PREPARED and connectable(holder.database):
        return (ROLL_BACK,), {"gid": holder.name, "gid_database": holder.database}
    if _is_slot(holder) and not holder.active:
        return (DROP_SLOT,), {"slot": holder.name}
    return (WAIT_OR_END,), {}


def holder_of_age(holders: tuple[XminHolder, ...], database: str, age: int) -> XminHolder | None:
    """Who keeps a database from becoming much younger than it is."""
    meant = [one for one in holders if _concerns(one, database)]
    return meant[0] if meant and 2 * meant[0].age >= age else None


def holder_of_rows(holders: tuple[XminHolder, ...], database: str, last_vacuum: datetime | None) -> XminHolder | None:
    """For whose sake a vacuum had to leave dead rows in a table: it began before, or is very old."""
    for one in holders:
        before = one.since is not None and last_vacuum is not None and one.since < last_vacuum
        if _concerns(one, database) and not one.catalog_only and (before or one.age >= _MANY):
            return one
    return None


def describe(holder: XminHolder) -> str:
    """Who it is, in a line."""
    who = f" of {holder.name or 'an application without a name'}" if holder.pid and not _is_slot(holder) else ""
    as_role = f" as {holder.role}" if holder.role else ""
    where = f" in database {holder.database}" if holder.database else ""
    state = f", {holder.state}" if holder.state else "" if holder.active else ", nobody reads from it"
    since = f", since {holder.since:%Y-%m-%d %H:%M:%S %Z}" if holder.since else ""
    return f"{subject(holder)}{who}{as_role}{where}{state}{since}"


def subject(holder: XminHolder) -> str:
    """What it is, for a finding."""
    name = holder.pid if holder.kind is HolderKind.SESSION else holder.name
    return f"{holder.kind} {name}"


def _concerns(holder: XminHolder, database: str) -> bool:
    return not holder.database or holder.database == database or _is_slot(holder)


def _is_slot(holder: XminHolder) -> bool:
    return holder.kind is HolderKind.SLOT
