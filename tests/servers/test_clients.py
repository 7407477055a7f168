"""Clients do what they are called after, and leave nothing."""

from opscheck.transport.processes import wait_until
from tests.servers.clients import (
    blocked,
    client,
    connections_filled,
    idle_in_transaction,
    long_query,
    state,
)


def test_client_may_be_idle_in_a_transaction_good_or_aborted(server, admin):
    with idle_in_transaction(server) as good, idle_in_transaction(server, aborted=True) as aborted:
        # A session sets its state before it waits for its client.
        for one, expected in ((good, "idle in transaction"), (aborted, "idle in transaction (aborted)")):
            wait_until(lambda one=one: state(admin, one.pid)[1] == "Client", 20, "the session does not wait")
            assert (expected, "Client") == state(admin, one.pid)

    assert state(admin, good.pid) is state(admin, aborted.pid) is None


def test_long_query_runs_and_ends_with_its_block(server, admin):
    with long_query(server, application="report") as reporting:
        assert "active" == state(admin, reporting.pid)[0]

    assert state(admin, reporting.pid) is None


def blockers(admin, one):
    return [pid for (pid,) in admin.execute(f"SELECT unnest(pg_blocking_pids({one.pid}))").fetchall()]


def test_all_wait_for_the_holder(server, admin):
    with blocked(server, 2) as (holder, (first, second)):
        assert [holder.pid] == blockers(admin, first) == blockers(admin, second)


def test_each_waits_for_the_one_before(server, admin):
    with blocked(server, 2, chain=True) as (holder, (first, second)):
        assert [holder.pid] == blockers(admin, first)
        assert [first.pid] == blockers(admin, second)


def test_connections_are_held_and_released(server):
    with connections_filled(server) as held:
        assert server.usable_connections == held

    with client(server) as again:
        again.do("SELECT 1")
