"""The pools of a PgBouncer."""

from collections.abc import Iterable
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import partial

from opscheck import Duration, Findings, Observe, Percentage
from opscheck.core.findings import judge_all
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.units import format_duration
from opscheck.core.words import counted
from opscheck.systems.pgbouncer.pools import (
    ENABLE_DATABASE,
    RESUME,
    RESUME_DATABASE,
    SHOW_CLIENTS,
    SHOW_LIMIT,
    SHOW_POOL,
    SHOW_SERVER,
    PgbouncerPools,
    Pool,
    Pools,
)

_RUNNING = "not paused, not disabled"


def test_clients_get_a_server_connection(expectation: PgbouncerPools, observe: Observe, findings: Findings) -> None:
    """
    PgBouncer gives clients a server connection without a long wait.

    While clients queue, the server looks healthy: it has few connections. Requests take as long as the queue, and fail
    at query_wait_timeout.
    """
    answer = observe(expectation.pools_query)
    whole = findings.on(expectation.target.address)
    if answer.paused:
        whole.add(observed="PgBouncer is paused", expected="not paused", remedies=(RESUME,))
    whole.measure("pools", len(answer.pools))
    judge_all(
        lambda: _judge_databases(expectation, answer, findings),
        lambda: _judge_clients(expectation, answer, whole),
        lambda: _judge_pools(expectation, answer, observe, findings),
    )


def _judge_clients(expectation: PgbouncerPools, answer: Pools, findings: Findings) -> None:
    """The clients of all pools. Raises CouldNotObserve where the console does not show their limit."""
    if expectation.clients is None:
        return
    if not answer.max_clients:
        text = "the console does not show max_client_conn"
        raise CouldNotObserve(expectation.pools_query, Problem(kind=ProblemKind.UNSUPPORTED, text=text))
    findings.grade(
        "clients connected",
        Percentage(100.0 * answer.clients / answer.max_clients),
        expectation.clients,
        detail=f"{answer.clients} of {answer.max_clients}",
        remedies=(SHOW_CLIENTS,),
        facts={"max_clients": answer.max_clients},
    )


def _judge_databases(expectation: PgbouncerPools, answer: Pools, findings: Findings) -> None:
    for database in answer.databases:
        here = findings.on(f"database {database.name}", database=database.name)
        may_be_paused = _matches(database.name, expectation.may_be_paused)
        if database.paused and not may_be_paused:
            here.add(observed="paused: clients wait", expected=_RUNNING, remedies=(RESUME_DATABASE,))
        if database.disabled and not may_be_paused:
            here.add(observed="disabled: new clients are refused", expected=_RUNNING, remedies=(ENABLE_DATABASE,))
        if database.max_connections > 0:
            used = Percentage(100.0 * database.connections / database.max_connections)
            detail = f"{database.connections} of {database.max_connections}, its own max_connections"
            here.grade("server connections", used, expectation.servers, detail=detail, remedies=(SHOW_LIMIT,))


def _judge_pools(expectation: PgbouncerPools, answer: Pools, observe: Observe, findings: Findings) -> None:
    for pool in _pools(expectation, answer):
        here = findings.on(f"pool {pool.name}", database=pool.database, user=pool.user, pool_size=pool.size)
        unreachable = _is_unreachable(pool, answer)
        grade = partial(here.grade, evidence=[_line(pool)], remedies=(SHOW_SERVER if unreachable else SHOW_POOL,))
        waited, since = Duration(pool.waited_s), observe.now - timedelta(seconds=pool.waited_s)
        detail = "1 client waits" if pool.waiting == 1 else f"{pool.waiting} clients wait"
        detail += ", no server connection is open" if unreachable else ""
        grade("longest wait for a server connection", waited, expectation.waited, detail=detail, since=since)
        used = Percentage(100.0 * pool.in_use / pool.size if pool.size else 100.0)  # a pool without connections is full
        grade("server connections in use", used, expectation.servers, detail=f"{pool.in_use} of {pool.size}")


def _is_unreachable(pool: Pool, answer: Pools) -> bool:
    """True when clients wait, no pool has a connection to their database, and PgBouncer does not hold them back."""
    same = (one for one in answer.databases if one.name == pool.database)
    held_back = answer.paused or pool.size == 0 or any(one.paused or one.disabled for one in same)
    up = [one.up for one in answer.pools if one.database == pool.database]
    return pool.waiting > 0 and not held_back and all(number == 0 for number in up)


def _pools(expectation: PgbouncerPools, answer: Pools) -> list[Pool]:
    """The judged pools. Raises CouldNotObserve for a pattern without a match."""
    if expectation.pools is None:
        return list(answer.pools)
    for pattern in expectation.pools:
        if not any(fnmatchcase(pool.name, pattern) for pool in answer.pools):
            there = ", ".join(pool.name for pool in answer.pools) or "none"
            advice = f"pools: {there}; a pool exists once a client has used it"
            problem = Problem(kind=ProblemKind.UNSUPPORTED, text=f"no pool matches {pattern}", advice=advice)
            raise CouldNotObserve(expectation.pools_query, problem)
    return [pool for pool in answer.pools if _matches(pool.name, expectation.pools)]


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _line(pool: Pool) -> str:
    """Its connections and clients in one line."""
    mode = f" in {pool.mode} mode" if pool.mode else ""
    return (
        f"{pool.in_use} of {pool.size} server connections in use, {pool.servers - pool.in_use} idle{mode}; "
        f"{counted(pool.active, 'client')} served or idle, {pool.waiting} waiting"
        + (f", the first for {format_duration(pool.waited_s)}" if pool.waiting else "")
    )
