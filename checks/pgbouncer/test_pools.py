"""The pools of a PgBouncer."""

from datetime import timedelta

from opscheck import Duration, Findings, Observe, Percentage
from opscheck.core.findings import judge_all
from opscheck.systems.pgbouncer.expectations import PgbouncerPools
from opscheck.systems.pgbouncer.queries import Pools
from opscheck.systems.pgbouncer.readings import (
    clients_used,
    in_use,
    limited,
    pool_facts,
    pool_line,
    pools_of,
    stopped,
    subject,
)


def test_clients_get_a_server_connection(expectation: PgbouncerPools, observe: Observe, findings: Findings) -> None:
    """
    Clients of PgBouncer get a server connection when they ask for one.

    The server looks well while they queue: its connections are all there, and none is too many. Requests then take
    as long as the queue does, and end with an error at query_wait_timeout.
    """
    answer = observe(expectation.asked)
    for one in stopped(expectation, answer):
        findings.add(
            subject=one.subject, observed=one.observed, expected="a database that gives connections", facts=one.facts
        )
    judge_all(
        lambda: _judge_clients(expectation, answer, findings),
        lambda: _judge_databases(expectation, answer, findings),
        lambda: _judge_pools(expectation, answer, observe, findings),
    )


def _judge_clients(expectation: PgbouncerPools, answer: Pools, findings: Findings) -> None:
    if expectation.clients is not None:
        findings.grade(
            "clients connected",
            clients_used(expectation, answer),
            expectation.clients,
            subject=expectation.target.address,
            detail=f"{answer.clients} of {answer.max_clients}",
            facts={"max_clients": str(answer.max_clients)},
        )


def _judge_databases(expectation: PgbouncerPools, answer: Pools, findings: Findings) -> None:
    for database in limited(answer):
        findings.grade(
            "server connections",
            Percentage(100.0 * database.connections / database.max_connections),
            expectation.servers,
            subject=f"database {database.name}",
            detail=f"{database.connections} of {database.max_connections}, its own limit",
            facts={"limited_database": database.name},
        )


def _judge_pools(expectation: PgbouncerPools, answer: Pools, observe: Observe, findings: Findings) -> None:
    findings.measure("pools", len(answer.pools), subject=expectation.target.address)
    for pool in pools_of(expectation, answer):
        findings.grade(
            "waited for a server connection",
            Duration(pool.waited_s),
            expectation.waited,
            subject=subject(pool),
            detail=f"{pool.waiting} clients wait",
            since=observe.now - timedelta(seconds=pool.waited_s),
            evidence=[pool_line(pool)],
            facts=pool_facts(pool),
        )
        findings.grade(
            "server connections in use",
            in_use(pool),
            expectation.servers,
            subject=subject(pool),
            detail=f"{pool.in_use} of {pool.size}",
            evidence=[pool_line(pool)],
            facts=pool_facts(pool),
        )
