"""How old the transactions of a server's databases are, and who keeps them from being frozen."""

from collections.abc import Iterator

from opscheck.core.findings import Observe
from opscheck.core.units import Percentage
from opscheck.systems.postgres.databases import connectable
from opscheck.systems.postgres.readings.facts import Number
from opscheck.systems.postgres.readings.xmin import holder_facts, holder_of_age, holders_aside, told
from opscheck.systems.postgres.vacuum import Ages, DatabaseAge, PostgresVacuum, XminHolder

_LAST = 2**31
_OTHERS = 5


def oldest_databases(expectation: PostgresVacuum, observe: Observe) -> Iterator[Number]:
    """The ages that have a limit. Raises CouldNotObserve."""
    if expectation.judges_ages:
        yield from database_ages(expectation, observe(expectation.ages), holders_aside(expectation, observe))


def database_ages(expectation: PostgresVacuum, ages: Ages, holders: tuple[XminHolder, ...]) -> Iterator[Number]:
    """The oldest database of the server, in transactions and in multixacts; others beyond the limit are evidence."""
    by_xid = sorted(ages.databases, key=lambda one: -one.xid_age)
    by_multixact = sorted(ages.databases, key=lambda one: -one.multixact_age)
    if expectation.xid_age is not None:
        yield _age(expectation, by_xid, "xid", holders)
    if expectation.multixact_age is not None:
        yield _age(expectation, by_multixact, "multixact", holders)
    if expectation.freeze_lag is not None:
        yield _lag(expectation, by_xid, "xid", ages.freeze_max_age, holders)
        yield _lag(expectation, by_multixact, "multixact", ages.multixact_freeze_max_age, holders)


def _age(
    expectation: PostgresVacuum, oldest_first: list[DatabaseAge], what: str, holders: tuple[XminHolder, ...]
) -> Number:
    limit = expectation.xid_age if what == "xid" else expectation.multixact_age
    oldest = oldest_first[0]
    others = [
        f"{one.name} {Percentage(_share(one, what, _LAST))}"
        for one in oldest_first[1:]
        if limit is not None and limit.severity(_share(one, what, _LAST)) is not None
    ]
    return Number(
        name=f"{what} age",
        observed=Percentage(_share(oldest, what, _LAST)),
        limit=limit,
        subject=f"database {oldest.name}",
        detail=f"{_of(oldest, what)} of {_LAST}",
        evidence=(*_why(oldest, what, holders), *_also(others)),
        facts=_facts(oldest, what, holders),
    )


def _lag(
    expectation: PostgresVacuum,
    oldest_first: list[DatabaseAge],
    what: str,
    forced_at: int,
    holders: tuple[XminHolder, ...],
) -> Number:
    oldest = oldest_first[0]
    setting = "autovacuum_freeze_max_age" if what == "xid" else "autovacuum_multixact_freeze_max_age"
    return Number(
        name=f"{what} age against {setting}",
        observed=Percentage(_share(oldest, what, max(1, forced_at))),
        limit=expectation.freeze_lag,
        subject=f"database {oldest.name}",
        detail=f"{_of(oldest, what)}, freezing is forced at {forced_at}",
        evidence=_why(oldest, what, holders),
        facts=_facts(oldest, what, holders),
    )


def _of(database: DatabaseAge, what: str) -> int:
    return database.xid_age if what == "xid" else database.multixact_age


def _share(database: DatabaseAge, what: str, whole: int) -> float:
    return 100.0 * _of(database, what) / whole


def _why(database: DatabaseAge, what: str, holders: tuple[XminHolder, ...]) -> tuple[str, ...]:
    holder = _holder(database, what, holders)
    if holder is not None:
        return (f"it cannot become younger than {holder.age}, which is held by {told(holder)}",)
    return () if database.connectable else ("nobody may connect there: only autovacuum freezes it",)


def _also(others: list[str]) -> tuple[str, ...]:
    more = f" and {len(others) - _OTHERS} more" if len(others) > _OTHERS else ""
    return (f"also beyond: {', '.join(others[:_OTHERS])}{more}",) if others else ()


def _facts(database: DatabaseAge, what: str, holders: tuple[XminHolder, ...]) -> dict[str, str]:
    facts = holder_facts(_holder(database, what, holders))
    if database.connectable and connectable(database.name):
        facts["freeze_database" if what == "xid" else "multixact_database"] = database.name
    return facts


def _holder(database: DatabaseAge, what: str, holders: tuple[XminHolder, ...]) -> XminHolder | None:
    # A snapshot keeps multixacts too, but its age is counted in transactions.
    return holder_of_age(holders, database.name, database.xid_age) if what == "xid" else None
