"""The evaluation of pools, without a PgBouncer."""

import pytest
from pydantic import ValidationError

from checks.pgbouncer.test_pools import test_clients_get_a_server_connection as check
from opscheck import Severity
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.systems.pgbouncer.permissions import render
from opscheck.systems.pgbouncer.pools import (
    RESUME,
    SHOW_POOL,
    SHOW_SERVER,
    ListPools,
    PgbouncerPools,
    Pool,
    PooledDatabase,
    Pools,
)
from opscheck.systems.pgbouncer.target import PgbouncerTarget
from opscheck.testing import expect, judge
from tests.servers.typed_commands import commands_of

TARGET = PgbouncerTarget(kind="pgbouncer", dsn="postgresql://opscheck:hunter2@bouncer:6432/pgbouncer")
QUIET = Pools(pools=(), databases=(PooledDatabase(name="shop", server="db:5432"),), clients=0)


def judged(answer: Pools, **fields):
    return judge(check, expect(PgbouncerPools, TARGET, **fields), {ListPools("target"): answer})


def test_limit_is_required():
    with pytest.raises(ValidationError, match=r"at least one limit \(waited, servers, clients\)"):
        expect(PgbouncerPools, TARGET, severity="P1")


def test_pgbouncer_without_pools_passes_and_is_measured():
    findings = judged(QUIET, waited={"P0": "5s"})

    assert [] == findings.violations
    assert [("pools", 0)] == [(one.name, one.value) for one in findings.measurements]


def test_pool_without_connections_is_full():
    pool = Pool(database="shop", user="app", size=0)
    (finding,) = judged(Pools(pools=(pool,), databases=(), clients=1), servers={"P2": "80%"}).violations

    assert "server connections in use 100% (0 of 0)" == finding.observed


@pytest.mark.parametrize(
    ("pool", "database", "others", "remedy"),
    [
        ({}, {}, {}, SHOW_SERVER),
        ({"up": 1}, {}, {}, SHOW_POOL),
        ({"up": None}, {}, {}, SHOW_POOL),
        ({"size": 0}, {}, {}, SHOW_POOL),
        ({}, {"paused": True}, {}, SHOW_POOL),
        ({}, {"disabled": True}, {}, SHOW_POOL),
        ({}, {}, {"paused": True}, SHOW_POOL),
        ({}, {}, {"pools": (Pool(database="shop", user="other", size=20, up=20),)}, SHOW_POOL),
        ({}, {}, {"pools": (Pool(database="else", user="app", size=20, up=20),)}, SHOW_SERVER),
    ],
    ids=["down", "up", "old", "size-0", "paused", "disabled", "all-paused", "other-pool-up", "other-database-up"],
)
def test_remedy_of_a_wait_fits_its_cause(pool, database, others, remedy):
    waits = Pool(**{"database": "shop", "user": "app", "size": 20, "waiting": 1, "waited_s": 9, "up": 0} | pool)
    shop = PooledDatabase(**{"name": "shop", "server": "db:5432"} | database)
    answer = Pools(
        pools=(waits, *others.get("pools", ())), databases=(shop,), clients=1, paused=others.get("paused", False)
    )
    found = judged(answer, waited={"P2": "1s"}).violations

    (wait,) = [one for one in found if one.subject == "pool shop/app"]
    assert wait.remediation.commands == commands_of(remedy)


def test_paused_pgbouncer_is_violated():
    paused = Pools(pools=(), databases=(), clients=0, paused=True)
    (finding,) = judged(paused, waited={"P2": "1s", "P0": "5s"}).violations

    assert (Severity.P0, "PgBouncer is paused") == (finding.severity, finding.observed)
    assert "postgresql://bouncer:6432/pgbouncer" == finding.subject
    assert finding.remediation.commands == commands_of(RESUME)


def test_missing_max_client_conn_is_unknown():
    with pytest.raises(CouldNotObserve, match="the console does not show max_client_conn"):
        judged(QUIET, clients={"P2": "75%"})


@pytest.mark.parametrize(
    ("kind", "severity"),
    [(ProblemKind.UNREACHABLE, Severity.P0), (ProblemKind.LATE, None), (ProblemKind.DENIED, None)],
)
def test_only_unreachable_pgbouncer_is_violated(kind, severity):
    expectation = expect(PgbouncerPools, TARGET, waited={"P2": "1s", "P0": "5s"})

    assert severity == expectation.no_answer(Problem(kind=kind, text=""))


def test_required_right_is_printed():
    (permission,) = expect(PgbouncerPools, TARGET, waited={"P0": "5s"}).pools_query.permissions()

    assert permission.text().startswith("stats_users in pgbouncer.ini")
    assert "stats_users = opscheck" in render(TARGET, [permission])
    assert "hunter2" not in render(TARGET, [permission])
