"""What PostgreSQL's answers mean."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.units import Percentage
from opscheck.systems.postgres.connections import (
    Holder,
    Occupancy,
    PostgresConnections,
    Refusal,
    RefusedBy,
    SessionsAnswer,
    Share,
)

_EVIDENCE = 5


@dataclass(frozen=True)
class Slots:
    """Connections that are counted against one limit."""

    subject: str
    used: int
    usable: int
    free: int
    """How many more can be opened; never negative."""
    detail: str
    """What the numbers are made of."""
    holders: tuple[Holder, ...]
    place: Mapping[str, str]
    """Facts about where the limit is."""
    asked_for: bool = True
    """False for a limit that the policy does not name, and that is judged because it is there."""

    @property
    def share(self) -> Percentage:
        """The used part in percent; a limit of 0 is used up."""
        return Percentage(100.0 * self.used / self.usable if self.usable > 0 else 100.0)

    @property
    def evidence(self) -> list[str]:
        """The largest groups of connections, a line each."""
        return [_line(holder) for holder in self.holders[:_EVIDENCE]]

    @property
    def facts(self) -> dict[str, str]:
        """What remediation commands may name."""
        facts = {"used": str(self.used), "usable": str(self.usable)} | dict(self.place)
        if self.holders:
            largest = self.holders[0]
            facts |= {"application": largest.application, "holder_role": largest.role}
            facts |= {"client": largest.client, "state": largest.state}
        return {name: value for name, value in facts.items() if value}


def connection_slots(expectation: PostgresConnections, answer: SessionsAnswer) -> list[Slots]:
    """
    The limits that connections are held to: the named role's or database's, else the server's and every other.

    Empty when not one connection was left to ask. Raises CouldNotObserve when the numbers would not be true.
    """
    occupancy = answer.occupancy
    if occupancy is None:
        if answer.refusal is None:
            text = "the answer says neither how many are connected nor that one was refused"
            raise CouldNotObserve(expectation.sessions, Problem(kind=ProblemKind.UNREADABLE, text=text))
        return []
    if expectation.role is None and expectation.database is None:
        return [_server(expectation, occupancy), *_own_limits(expectation, occupancy)]
    return list(_named(expectation, occupancy))


def refusal(expectation: PostgresConnections, answer: SessionsAnswer) -> Refusal | None:
    """
    The refusal that proves the expectation violated.

    Raises CouldNotObserve when opscheck met a limit that is not the one in question.
    """
    met = answer.refusal
    if met is None or met.by is RefusedBy.SERVER or (expectation.role is None and expectation.database is None):
        return met
    if (met.by, expectation.role) == (RefusedBy.ROLE, met.role):
        return met
    if (met.by, expectation.database) == (RefusedBy.DATABASE, met.database):
        return met
    text, advice = f"opscheck itself was refused: {met.text}", f"raise the CONNECTION LIMIT of {_refused(met)}"
    raise CouldNotObserve(expectation.sessions, Problem(kind=ProblemKind.DENIED, text=text, advice=advice))


def refused_subject(expectation: PostgresConnections, met: Refusal) -> str:
    """Whose connections have run out."""
    return _address(expectation) if met.by is RefusedBy.SERVER else _refused(met)


def refused_facts(expectation: PostgresConnections, met: Refusal) -> dict[str, str]:
    """What remediation commands may name when not even opscheck gets in."""
    address = expectation.target.address
    reached = {
        RefusedBy.SERVER: {"full": address},
        RefusedBy.ROLE: {"limited_role": met.role},
        RefusedBy.DATABASE: {"limited_database": met.database},
    }
    facts = {"server": address, "refusing": address} | reached[met.by]
    return {name: value for name, value in facts.items() if value}


def walsender_slots(expectation: PostgresConnections, answer: SessionsAnswer) -> Slots | None:
    """The places of walsenders; None when nobody could look, or when one role or database is meant."""
    occupancy = answer.occupancy
    meant = expectation.walsenders is not None or (expectation.role is None and expectation.database is None)
    if occupancy is None or not meant:
        return None
    return Slots(
        subject=_address(expectation),
        used=occupancy.walsenders,
        usable=occupancy.max_wal_senders,
        free=max(0, occupancy.max_wal_senders - occupancy.walsenders),
        detail=f"{occupancy.walsenders} of {occupancy.max_wal_senders}, max_wal_senders",
        holders=occupancy.senders,
        place={"sending": expectation.target.address},
    )


def _refused(met: Refusal) -> str:
    return f"role {met.role}" if met.by is RefusedBy.ROLE else f"database {met.database}"


def _server(expectation: PostgresConnections, occupancy: Occupancy) -> Slots:
    kept = occupancy.max_connections - occupancy.usable
    detail = f"{occupancy.used} of {occupancy.usable}, {kept} more are reserved"
    if not _free(occupancy):
        way = "as a superuser" if occupancy.is_superuser else "through a reserved connection"
        detail += f"; clients are refused, opscheck got in {way}"
    return Slots(
        subject=_address(expectation),
        used=occupancy.used,
        usable=occupancy.usable,
        free=_free(occupancy),
        detail=detail,
        holders=occupancy.holders,
        place={"server": expectation.target.address, "full": expectation.target.address},
    )


def _own_limits(expectation: PostgresConnections, occupancy: Occupancy) -> Iterator[Slots]:
    for share in occupancy.roles:
        yield _share(expectation, occupancy, "role", share, asked_for=False)
    for share in occupancy.databases:
        yield _share(expectation, occupancy, "database", share, asked_for=False)


def _named(expectation: PostgresConnections, occupancy: Occupancy) -> Iterator[Slots]:
    for what, name, shares in (
        ("role", expectation.role, occupancy.roles),
        ("database", expectation.database, occupancy.databases),
    ):
        if name is not None:
            yield _share(expectation, occupancy, what, _find(expectation, what, name, shares))


def _find(expectation: PostgresConnections, what: str, name: str, shares: Iterable[Share]) -> Share:
    for share in shares:
        if share.name == name:
            return share
    text, advice = f"there is no {what} {name}", f"name one that exists in `{what}`"
    raise CouldNotObserve(expectation.sessions, Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=advice))


def _share(
    expectation: PostgresConnections, occupancy: Occupancy, what: str, share: Share, *, asked_for: bool = True
) -> Slots:
    """What counts against the limit of one role or one database; `what` says which."""
    address = expectation.target.address
    usable = occupancy.usable if share.limit is None else share.limit
    whose = "the server's limit, it has none of its own" if share.limit is None else "its own limit"
    limit = {"full": address} if share.limit is None else {f"limited_{what}": share.name}
    return Slots(
        subject=f"{what} {share.name}",
        used=share.used,
        usable=usable,
        # The server may be full before a limit is.
        free=max(0, min(usable - share.used, _free(occupancy))),
        detail=f"{share.used} of {usable}, {whose}",
        holders=tuple(holder for holder in occupancy.holders if getattr(holder, what) == share.name),
        place={"server": address} | limit,
        asked_for=asked_for,
    )


def _free(occupancy: Occupancy) -> int:
    return max(0, occupancy.usable - occupancy.used)


def _address(expectation: PostgresConnections) -> str:
    return expectation.target.address or expectation.target.name


def _line(holder: Holder) -> str:
    application = holder.application or "an application without a name"
    client = holder.client or "a Unix socket"
    state = holder.state or "state unknown"
    return f"{holder.count} by {application} as {holder.role} to {holder.database} from {client}, {state}"
