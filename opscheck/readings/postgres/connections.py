"""What PostgreSQL's answers mean."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from opscheck.expectations.postgres.connections import PostgresConnections
from opscheck.queries.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.queries.postgres.sessions import Holder, Occupancy, Refusal, RefusedBy, SessionsAnswer, Share
from opscheck.units import Percentage

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
        numbers = {"used": str(self.used), "usable": str(self.usable)}
        if not self.holders:
            return numbers
        largest = self.holders[0]
        origin = {"application": largest.application, "holder_role": largest.role}
        origin |= {"client": largest.client, "state": largest.state}
        return numbers | {name: value for name, value in origin.items() if value}


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
        return [_server(expectation, occupancy), *_own_limits(occupancy)]
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
    )


def _own_limits(occupancy: Occupancy) -> Iterator[Slots]:
    for share in occupancy.roles:
        yield _role(occupancy, share, asked_for=False)
    for share in occupancy.databases:
        yield _database(occupancy, share, asked_for=False)


def _named(expectation: PostgresConnections, occupancy: Occupancy) -> Iterator[Slots]:
    if expectation.role is not None:
        yield _role(occupancy, _find(expectation, "role", expectation.role, occupancy.roles))
    if expectation.database is not None:
        yield _database(occupancy, _find(expectation, "database", expectation.database, occupancy.databases))


def _find(expectation: PostgresConnections, what: str, name: str, shares: Iterable[Share]) -> Share:
    for share in shares:
        if share.name == name:
            return share
    text, advice = f"there is no {what} {name}", f"name one that exists in `{what}`"
    raise CouldNotObserve(expectation.sessions, Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=advice))


def _role(occupancy: Occupancy, share: Share, *, asked_for: bool = True) -> Slots:
    holders = tuple(holder for holder in occupancy.holders if holder.role == share.name)
    return _share(occupancy, f"role {share.name}", share, holders, asked_for=asked_for)


def _database(occupancy: Occupancy, share: Share, *, asked_for: bool = True) -> Slots:
    holders = tuple(holder for holder in occupancy.holders if holder.database == share.name)
    return _share(occupancy, f"database {share.name}", share, holders, asked_for=asked_for)


def _share(occupancy: Occupancy, subject: str, share: Share, holders: tuple[Holder, ...], *, asked_for: bool) -> Slots:
    usable = occupancy.usable if share.limit is None else share.limit
    whose = "the server's limit, it has none of its own" if share.limit is None else "its own limit"
    return Slots(
        subject=subject,
        used=share.used,
        usable=usable,
        # The server may be full before a limit is.
        free=max(0, min(usable - share.used, _free(occupancy))),
        detail=f"{share.used} of {usable}, {whose}",
        holders=holders,
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
