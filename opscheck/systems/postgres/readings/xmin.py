"""For whose sake a server keeps rows that are dead."""

from collections.abc import Iterator
from datetime import datetime

from opscheck.core.findings import Observe
from opscheck.core.observation import Problem
from opscheck.core.units import Count, Duration, Graded, format_duration
from opscheck.systems.postgres.databases import connectable
from opscheck.systems.postgres.readings.facts import Number
from opscheck.systems.postgres.vacuum import HolderKind, PostgresVacuum, XminHolder, XminHolders

_MANY = 1_000_000


def keeping_rows(expectation: PostgresVacuum, observe: Observe) -> Iterator[Number]:
    """Who keeps rows for too long, where that has a limit. Raises CouldNotObserve."""
    if expectation.judges_holders:
        yield from held_back(expectation, observe(expectation.holders))


def held_back(expectation: PostgresVacuum, answer: XminHolders) -> Iterator[Number]:
    """Every holder that is beyond a limit, else the worst: by transactions, and by time where it says since when."""
    ages = [_age(one, expectation.oldest_xmin, answer.clock) for one in answer.holders]
    nobody = Number(name="transactions kept", observed=0, limit=expectation.oldest_xmin, subject="oldest xmin")
    yield from _broken(ages or [nobody])
    if expectation.oldest_xmin_held is not None:
        yield from _broken(list(_times(answer, expectation.oldest_xmin_held)))


def holders_aside(expectation: PostgresVacuum, observe: Observe) -> tuple[XminHolder, ...]:
    """Who keeps rows, for evidence; nobody where that is not known."""
    answer = observe.aside(expectation.holders)
    return () if isinstance(answer, Problem) else answer.holders


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


def told(holder: XminHolder) -> str:
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


def holder_facts(holder: XminHolder | None) -> dict[str, str]:
    """What remediation commands may name: a standby cannot be helped from here, nor may a slot in use be dropped."""
    if holder is None:
        return {}
    if holder.kind is HolderKind.SESSION and holder.since is not None:
        return {"holder_pid": str(holder.pid), "holder_since": holder.since.isoformat()}
    if holder.kind is HolderKind.PREPARED and connectable(holder.database):
        return {"holder_gid": holder.name, "holder_database": holder.database}
    if _is_slot(holder) and not holder.active:
        return {"holder_slot": holder.name}
    return {}


def _age(holder: XminHolder, limit: Graded[Count] | None, clock: datetime) -> Number:
    time = f", for {format_duration(_held_s(holder, clock))}" if holder.since else ""
    return Number(
        name="transactions kept",
        observed=holder.age,
        limit=limit,
        subject=subject(holder),
        detail=f"dead rows must be kept since then{time}",
        since=holder.since,
        evidence=(told(holder),),
        facts=holder_facts(holder),
    )


def _times(answer: XminHolders, limit: Graded[Duration]) -> Iterator[Number]:
    for holder in answer.holders:
        if holder.since is not None:
            yield Number(
                name="time kept",
                observed=Duration(_held_s(holder, answer.clock)),
                limit=limit,
                subject=subject(holder),
                detail=f"dead rows must be kept since then, for {holder.age} transactions",
                since=holder.since,
                evidence=(told(holder),),
                facts=holder_facts(holder),
            )


def _held_s(holder: XminHolder, clock: datetime) -> float:
    return max(0.0, (clock - holder.since).total_seconds()) if holder.since else 0.0


def _broken(numbers: list[Number]) -> list[Number]:
    """Those that break their limit, else the largest."""
    broken = [one for one in numbers if one.limit is not None and one.limit.severity(one.observed) is not None]
    return broken or sorted(numbers, key=lambda one: -one.observed)[:1]


def _concerns(holder: XminHolder, database: str) -> bool:
    return not holder.database or holder.database == database or _is_slot(holder)


def _is_slot(holder: XminHolder) -> bool:
    return holder.kind is HolderKind.SLOT
