"""The connections of a PostgreSQL server."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from opscheck import Findings, Observe, Percentage
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.remedy import Fact
from opscheck.systems.postgres.connections import (
    END_IDLE,
    RAISE,
    RAISE_MAX_WAL_SENDERS,
    SHOW_HOLDERS,
    SHOW_HOLDERS_AS_SUPERUSER,
    SHOW_WALSENDERS,
    Holder,
    Occupancy,
    PostgresConnections,
    RefusedBy,
    SessionsAnswer,
    Share,
)

_EVIDENCE = 5


@dataclass(frozen=True)
class Slots:
    """Connections that count against one limit."""

    subject: str
    used: int
    usable: int
    free: int
    """Number of free connections; never negative."""
    detail: str
    """The numbers in words."""
    holders: tuple[Holder, ...]
    limited: RefusedBy
    """The owner of the limit."""
    limit: dict[str, Fact]
    """The role or database with the limit, as a fact; empty for the server's."""
    named: bool = True
    """False for a limit that the policy does not name, which is judged because it exists."""

    @property
    def share(self) -> Percentage:
        return _percent(self.used, self.usable)


def test_clients_can_connect(expectation: PostgresConnections, observe: Observe, findings: Findings) -> None:
    """
    Clients can connect: connections stay below the limit.

    At the limit the server refuses every new connection, and each request that needs one fails. One application that
    leaks connections takes all others down. The limit is below max_connections, because some are reserved.
    """
    answer = observe(expectation.sessions)
    _judge_refusal(expectation, answer, findings)
    for slots in connection_slots(expectation, answer):
        here, about = findings.on(slots.subject), _about(expectation, slots)
        here.measure("connections", slots.used)
        here.grade("connections used", slots.share, expectation.used, **about)
        here.grade("connections free", slots.free, expectation.free if slots.named else None, **about)
    _judge_walsenders(expectation, answer.occupancy, findings.on(expectation.server))


def _judge_refusal(expectation: PostgresConnections, answer: SessionsAnswer, findings: Findings) -> None:
    """The refusal of opscheck's connection. Raises CouldNotObserve for a limit that is not judged."""
    met = answer.refusal
    if met is None:
        return
    whose = {RefusedBy.SERVER: expectation.server, RefusedBy.ROLE: met.role, RefusedBy.DATABASE: met.database}[met.by]
    subject = whose if met.by is RefusedBy.SERVER else f"{met.by} {whose}"
    wanted = {RefusedBy.ROLE: expectation.role, RefusedBy.DATABASE: expectation.database}
    if met.by is not RefusedBy.SERVER and any(wanted.values()) and wanted[met.by] != whose:
        text, advice = f"opscheck itself was refused: {met.text}", f"raise the CONNECTION LIMIT of {subject}"
        raise CouldNotObserve(expectation.sessions, Problem(kind=ProblemKind.DENIED, text=text, advice=advice))
    server = expectation.target.address
    limit = {} if met.by is RefusedBy.SERVER else {str(met.by): whose}
    findings.add(
        subject=subject,
        observed=f"refused: {met.text}",
        expected=f"a connection for role {met.role}",
        severity=expectation.worst_severity,
        remedies=(SHOW_HOLDERS_AS_SUPERUSER, RAISE[met.by]) if server else (),
        facts=({"server": server} if server else {}) | limit,
    )


def _about(expectation: PostgresConnections, slots: Slots) -> dict[str, Any]:
    server = expectation.target.address
    end_idle = (END_IDLE,) if slots.holders and slots.holders[0].application else ()
    return {
        "detail": slots.detail,
        "evidence": _lines(slots.holders),
        "remedies": (SHOW_HOLDERS, *end_idle, *((RAISE[slots.limited],) if server else ())),
        "facts": facts(expectation, slots.used, slots.usable, slots.holders) | slots.limit,
    }


def _judge_walsenders(expectation: PostgresConnections, occupancy: Occupancy | None, findings: Findings) -> None:
    """The walsenders, unless they could not be counted, or one role or database is judged."""
    meant = expectation.walsenders is not None or (expectation.role is None and expectation.database is None)
    if occupancy is None or not meant:
        return
    used, usable = occupancy.walsenders, occupancy.max_wal_senders
    findings.measure("walsenders", used)
    findings.grade(
        "walsenders used",
        _percent(used, usable),
        expectation.walsenders,
        detail=f"{used} of {usable}, max_wal_senders",
        evidence=_lines(occupancy.senders),
        remedies=(SHOW_WALSENDERS, RAISE_MAX_WAL_SENDERS) if expectation.target.address else (),
        facts=facts(expectation, used, usable, occupancy.senders),
    )


def facts(expectation: PostgresConnections, used: int, usable: int, holders: Sequence[Holder]) -> dict[str, Fact]:
    known: dict[str, Fact] = {"used": used, "usable": usable, "server": expectation.target.address}
    for largest in holders[:1]:
        known |= {name: getattr(largest, name) for name in ("application", "role", "client", "state")}
    return {name: value for name, value in known.items() if value != ""}


def connection_slots(expectation: PostgresConnections, answer: SessionsAnswer) -> list[Slots]:
    """
    The limits on connections: of the named role or database, otherwise of the server and of every role and database.

    Empty when no connection was left. Raises CouldNotObserve when the numbers would be wrong.
    """
    occupancy = answer.occupancy
    if occupancy is None:
        if answer.refusal is None:
            text = "the answer contains neither connections nor a refusal"
            raise CouldNotObserve(expectation.sessions, Problem(kind=ProblemKind.UNREADABLE, text=text))
        return []
    kinds = (
        (RefusedBy.ROLE, expectation.role, occupancy.roles),
        (RefusedBy.DATABASE, expectation.database, occupancy.databases),
    )
    if expectation.role is None and expectation.database is None:
        own = [_share(occupancy, kind, share, named=False) for kind, _, shares in kinds for share in shares]
        return [_server(expectation, occupancy), *own]
    named = [(kind, name, shares) for kind, name, shares in kinds if name is not None]
    return [_share(occupancy, kind, _find(expectation, kind, name, shares)) for kind, name, shares in named]


def _server(expectation: PostgresConnections, occupancy: Occupancy) -> Slots:
    kept = occupancy.max_connections - occupancy.usable
    detail = f"{occupancy.used} of {occupancy.usable}, {kept} more reserved"
    free = max(0, occupancy.usable - occupancy.used)
    if not free:
        way = "as a superuser" if occupancy.is_superuser else "through a reserved connection"
        detail += f"; clients are refused, opscheck connected {way}"
    return Slots(
        subject=expectation.server,
        used=occupancy.used,
        usable=occupancy.usable,
        free=free,
        detail=detail,
        holders=occupancy.holders,
        limited=RefusedBy.SERVER,
        limit={},
    )


def _find(expectation: PostgresConnections, kind: RefusedBy, name: str, shares: Iterable[Share]) -> Share:
    for share in shares:
        if share.name == name:
            return share
    text, advice = f"{kind} {name} does not exist", f"name an existing {kind} in `{kind}`"
    raise CouldNotObserve(expectation.sessions, Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=advice))


def _share(occupancy: Occupancy, kind: RefusedBy, share: Share, *, named: bool = True) -> Slots:
    """The connections that count against the limit of one role or database."""
    usable = occupancy.usable if share.limit is None else share.limit
    whose = "the server's limit" if share.limit is None else "its own limit"
    return Slots(
        subject=f"{kind} {share.name}",
        used=share.used,
        usable=usable,
        # The server may be full before a limit is.
        free=max(0, min(usable - share.used, occupancy.usable - occupancy.used)),
        detail=f"{share.used} of {usable}, {whose}",
        holders=tuple(holder for holder in occupancy.holders if getattr(holder, kind) == share.name),
        limited=RefusedBy.SERVER if share.limit is None else kind,
        limit={} if share.limit is None else {str(kind): share.name},
        named=named,
    )


def _percent(used: int, usable: int) -> Percentage:
    """The used share; a limit of 0 is fully used."""
    return Percentage(100.0 * used / usable if usable > 0 else 100.0)


def _lines(holders: Sequence[Holder]) -> list[str]:
    return [_line(holder) for holder in holders[:_EVIDENCE]]


def _line(holder: Holder) -> str:
    application = holder.application or "an unnamed application"
    client = holder.client or "a Unix socket"
    state = holder.state or "state unknown"
    return f"{holder.count} by {application} as {holder.role} to {holder.database} from {client}, {state}"
