"""What PgBouncer's console says of its pools."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.units import Percentage, format_duration
from opscheck.systems.pgbouncer.expectations import PgbouncerPools
from opscheck.systems.pgbouncer.queries import Pool, PooledDatabase, Pools


@dataclass(frozen=True)
class Stopped:
    """Something that gives no connection by an order."""

    subject: str
    observed: str
    facts: dict[str, str]


def pools_of(expectation: PgbouncerPools, answer: Pools) -> list[Pool]:
    """The pools that are meant. Raises CouldNotObserve for a pattern that none matches."""
    if expectation.pools is None:
        return list(answer.pools)
    for pattern in expectation.pools:
        if not any(fnmatchcase(pool.name, pattern) for pool in answer.pools):
            raise CouldNotObserve(expectation.asked, _no_pool(pattern, answer))
    return [pool for pool in answer.pools if _matches(pool.name, expectation.pools)]


def in_use(pool: Pool) -> Percentage:
    """The server connections in use, in percent of those that the pool may have; a pool of none is full."""
    return Percentage(100.0 * pool.in_use / pool.size if pool.size else 100.0)


def subject(pool: Pool) -> str:
    """The pool, for a finding."""
    return f"pool {pool.name}"


def pool_line(pool: Pool) -> str:
    """Who uses it and who waits."""
    mode = f" in {pool.mode} mode" if pool.mode else ""
    return (
        f"{pool.in_use} of {pool.size} server connections in use, {pool.servers - pool.in_use} idle{mode}; "
        f"{pool.active} clients served or idle, {pool.waiting} waiting"
        + (f", the first for {format_duration(pool.waited_s)}" if pool.waiting else "")
    )


def pool_facts(pool: Pool) -> dict[str, str]:
    """What remediation commands may name."""
    return {"pool_database": pool.database, "pool_user": pool.user, "pool_size": str(pool.size)}


def limited(answer: Pools) -> list[PooledDatabase]:
    """The databases with a limit of their own."""
    return [one for one in answer.databases if one.max_connections > 0]


def stopped(expectation: PgbouncerPools, answer: Pools) -> list[Stopped]:
    """What is paused or disabled and may not be."""
    found = []
    if answer.paused:
        facts = {"paused_as_a_whole": expectation.target.address}
        found.append(Stopped(expectation.target.address, "PgBouncer is paused as a whole", facts))
    for one in answer.databases:
        if _matches(one.name, expectation.may_be_paused):
            continue
        if one.paused:
            found.append(Stopped(f"database {one.name}", "paused: its clients wait", {"paused": one.name}))
        if one.disabled:
            found.append(Stopped(f"database {one.name}", "disabled: new clients are refused", {"disabled": one.name}))
    return found


def clients_used(expectation: PgbouncerPools, answer: Pools) -> Percentage:
    """The clients in percent of max_client_conn. Raises CouldNotObserve where the console does not say that."""
    if not answer.max_clients:
        text = "the console does not say max_client_conn"
        raise CouldNotObserve(expectation.asked, Problem(kind=ProblemKind.UNSUPPORTED, text=text))
    return Percentage(100.0 * answer.clients / answer.max_clients)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _no_pool(pattern: str, answer: Pools) -> Problem:
    there = ", ".join(pool.name for pool in answer.pools) or "none"
    return Problem(
        kind=ProblemKind.UNSUPPORTED,
        text=f"no pool is called {pattern}",
        advice=f"there are {there}; a pool is there once a client has asked for it",
    )
