"""A first policy for PostgreSQL servers."""

import re
from typing import TypeVar
from urllib.parse import urlsplit

from opscheck.core.discovery import (
    Discovery,
    DiscoveryInput,
    Look,
    Proposal,
    ProposedTarget,
    Value,
    Variable,
    headroom,
    not_read,
    variables,
)
from opscheck.core.findings import Observe
from opscheck.core.observation import CouldNotObserve
from opscheck.core.published import published
from opscheck.core.query import Query
from opscheck.core.units import Severity, format_bytes
from opscheck.core.words import counted, some
from opscheck.systems.postgres.archiver import Archiving, ReadArchiver
from opscheck.systems.postgres.connections import Occupancy, Sessions
from opscheck.systems.postgres.replicas import replicas
from opscheck.systems.postgres.replication import ReadReplication, ReadSlots, Replication, Slots
from opscheck.systems.postgres.server import ReadIdentity
from opscheck.systems.postgres.settings import ReadServerState, ServerState
from opscheck.systems.postgres.size import ReadSizes, Sizes

A = TypeVar("A")

SCHEMES = frozenset({"postgres", "postgresql"})
_IMAGES = frozenset({"pgvector", "postgis", "postgres", "postgresql", "timescaledb", "timescaledb-ha"})
_LIBPQ = re.compile(r"(?:^|\s)(?:host|dbname|service)\s*=")
_CONSOLE = re.compile(r"(?:^|\s)dbname\s*=\s*'?pgbouncer'?(?:\s|$)")
_POD = re.compile(r"-[a-z0-9]{6,10}-[a-z0-9]{5}$")
"""The end of a name that a Deployment gives its pods, and never twice."""
_UNNAMED = frozenset({"", "walreceiver"})
_SIZE = 100e9
_TELLS_INACTIVE_SINCE = 17


def is_postgres(variable: Variable) -> bool:
    """True for a URL or connection string that libpq takes."""
    return variable.scheme in SCHEMES or (not variable.scheme and _LIBPQ.search(variable.value) is not None)


def names_console(variable: Variable) -> bool:
    """True where its database is the console of a PgBouncer."""
    if not variable.scheme:
        return _CONSOLE.search(variable.value) is not None
    try:
        return urlsplit(variable.value).path == "/pgbouncer"
    except ValueError:
        return False


def discover(given: DiscoveryInput, look: Look) -> Discovery:
    """The servers of variables such as DATABASE_URL, and of a compose file."""
    found = (one for one in variables(given.environment) if is_postgres(one) and not names_console(one))
    targets = [
        ProposedTarget(id=one.id, fields={"kind": "postgres", "dsn": one.reference}, seen=f"found in {one.name}")
        for one in found
    ]
    services, unpublished = published(given, _IMAGES, (5432,), SCHEMES)
    for one in services:
        example = f"postgresql://USER:PASSWORD@{one.address}/DATABASE"
        targets.append(one.target_with_login("postgres", "dsn", example))
    proposed = [propose(target, look) for target in targets]
    return Discovery.together([*proposed, Discovery(not_seen=tuple(unpublished))])


def propose(target: ProposedTarget, look: Look) -> Discovery:
    """Propose expectations of one server, by its own reports."""
    name = target.id
    identity, sessions, replication = ReadIdentity(name), Sessions(name), ReadReplication(name)
    slots, archiver, sizes, state = ReadSlots(name), ReadArchiver(name), ReadSizes(name), ReadServerState(name)
    observe = look(target, (identity, sessions, replication, slots, archiver, sizes, state))
    seeing = _Seeing(name, observe)
    seeing.read("server", identity)
    found = seeing.read("connections", sessions)
    version = seeing.read("version", state)
    proposals = [
        _connections(name, found.occupancy if found else None),
        _activity(name),
        _locks(name),
        _vacuum(name),
        _size(name, seeing.read("sizes", sizes)),
        _settings(name, version),
    ]
    replicated, kept = seeing.read("replication", replication), seeing.read("replication slots", slots)
    proposals += _replication(name, replicated, kept, version)
    if (archiving := seeing.read("WAL archive", archiver)) is not None:
        proposals += _archiver(name, archiving, seeing.not_seen)
    return Discovery(targets=(target,), proposals=tuple(proposals), not_seen=tuple(seeing.not_seen))


class _Seeing:
    """Reads answers, and collects why there are none: of a server that is down once."""

    def __init__(self, target: str, observe: Observe) -> None:
        self._target = target
        self._observe = observe
        self._down = False
        self.not_seen: list[str] = []

    def read(self, what: str, query: Query[A]) -> A | None:
        try:
            return self._observe(query)
        except CouldNotObserve as error:
            if not self._down:
                self.not_seen.append(not_read(self._target, what, error))
            self._down = self._down or error.problem.target_down
            return None


def _proposal(target: str, concern: str, reason: str, severity: Severity | None = None, **fields: Value) -> Proposal:
    return Proposal(
        id=f"{target}-{concern}",
        check=f"postgres.{concern}",
        target=target,
        selector={"role": None, "database": None} if concern == "connections" else {},
        fields=fields,
        severity=severity,
        reason=reason,
    )


def _connections(target: str, found: Occupancy | None) -> Proposal:
    seen = f"{found.used} of {found.usable} connections in use. " if found else ""
    reason = f"{seen}At 100% clients are refused; at 90% one restart of an application can take the rest."
    return _proposal(target, "connections", reason, used={"P2": "75%", "P0": "90%"})


def _activity(target: str) -> Proposal:
    reason = "A transaction that stays open holds locks, and keeps vacuum from removing dead rows."
    query, idle = {"P2": "5m", "P1": "30m"}, {"P2": "5m", "P1": "15m"}
    return _proposal(target, "activity", reason, query=query, idle_in_transaction=idle)


def _locks(target: str) -> Proposal:
    return _proposal(
        target, "locks", "A session that waits for a lock is a user who waits.", waiting={"P2": "30s", "P1": "2m"}
    )


def _vacuum(target: str) -> Proposal:
    reason = "At 100% the server stops writes until it is vacuumed; normally autovacuum starts at about 10%."
    limits = {"P2": "40%", "P0": "60%"}
    return _proposal(
        target,
        "vacuum",
        reason,
        xid_age=limits,
        multixact_age=limits,
        oldest_xmin={"P2": 50_000_000, "P1": 200_000_000},
        oldest_xmin_held={"P2": "1h", "P1": "6h"},
    )


def _size(target: str, sizes: Sizes | None) -> Proposal:
    own = [one.bytes for one in sizes.databases if one.bytes is not None] if sizes else []
    large = headroom(max(own, default=0), _SIZE)
    seen = f"The database has {format_bytes(max(own))} (one sample: look again in a week). " if own else ""
    reason = f"{seen}The limit is at least twice that, and {format_bytes(_SIZE)}."
    return _proposal(target, "size", reason, size={"P3": format_bytes(large), "P2": format_bytes(5 * large)})


def _settings(target: str, state: ServerState | None) -> Proposal:
    seen = f"PostgreSQL {state.major}.{state.minor}. " if state else ""
    reason = f"{seen}Without fsync or full_page_writes a crash destroys data; an old release gets no fixes."
    wanted = {"equals": "on", "severity": "P1"}
    settings = dict.fromkeys(("autovacuum", "fsync", "full_page_writes"), wanted)
    end = {"P3": "180d", "P1": "0d"}
    return _proposal(target, "settings", reason, Severity.P2, settings=settings, end_of_life=end)


def _replication(
    target: str, found: Replication | None, kept: Slots | None, state: ServerState | None
) -> list[Proposal]:
    """The replicas by name, or the standby's own lag, and its slots; nothing of a server without any of them."""
    fields: dict[str, Value] = {}
    seen: list[str] = []
    lag, lag_bytes = {"P2": "30s", "P1": "5m"}, {"P2": "256MB", "P1": "2GB"}
    names = [one.sender.application for one in replicas(found, None, "catchup")] if found else []
    if found and found.standby and found.receiver:
        fields |= {"role": "standby", "lag": lag}
        seen.append("The server is a standby.")
    elif names:
        fields |= {"role": "primary", **_who(names), "lag": lag, "lag_bytes": lag_bytes}
        seen.append(f"The server is a primary with {counted(len(names), 'replica')}: {some(sorted(names))}.")
    slots = [one.name for one in kept.slots if not one.temporary and not one.synced] if kept else []
    if slots:
        fields["slot_retained"] = {"P1": "5GB", "P0": "20GB"}
        if state and state.major >= _TELLS_INACTIVE_SINCE:
            fields["slot_inactive"] = {"P2": "10m", "P1": "1h"}
        seen.append(f"A slot without a consumer fills the disk with WAL: {some(sorted(slots))}.")
    return [_proposal(target, "replication", " ".join(seen), Severity.P1, **fields)] if fields else []


def _who(names: list[str]) -> dict[str, Value]:
    """The replicas by name, where each has one that lasts; else how many there are."""
    lasting = [one for one in names if one not in _UNNAMED and not _POD.search(one)]
    if len(set(lasting)) == len(names):
        return {"replicas": tuple(sorted(lasting))}
    return {"minimum": {"P1": len(names)}}


def _archiver(target: str, found: Archiving, not_seen: list[str]) -> list[Proposal]:
    """Archiving, where the server archives: many are protected by dumps alone."""
    if found.archive_mode == "off":
        not_seen.append(
            f"{target}: WAL archive not proposed: archive_mode is off; add postgres.archiver where it should be on"
        )
    if found.archive_mode == "off" or (found.standby and found.archive_mode != "always"):
        return []
    fields: dict[str, Value] = {"waiting": {"P2": "5m", "P1": "15m"}, "backlog": {"P2": 20, "P1": 100}}
    reason = f"{counted(found.waiting, 'WAL file')} waiting. WAL that is not archived is lost with the server."
    return [_proposal(target, "archiver", reason, Severity.P1, **fields)]
