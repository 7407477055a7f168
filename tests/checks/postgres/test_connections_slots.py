"""The evaluation of connections, without a server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.postgres.test_connections import Slots, _line, connection_slots, facts
from opscheck import PostgresTarget
from opscheck.core.observation import CouldNotObserve
from opscheck.systems.postgres.connections import Holder, Occupancy, PostgresConnections, SessionsAnswer, Share
from opscheck.testing import expect

HOLDER = Holder(application="", role="app", database="shop", client="", state="idle", count=3)


def expectation(dsn: str = "postgresql://h/shop", role: str | None = None) -> PostgresConnections:
    return expect(PostgresConnections, PostgresTarget(kind="postgres", dsn=dsn), role=role, used={"P0": "90%"})


def slots(dsn: str = "postgresql://h/shop", role: str | None = None, **changed) -> Slots:
    fields = {
        "role": "opscheck",
        "is_superuser": False,
        "max_connections": 100,
        "superuser_reserved": 3,
        "reserved": 0,
        "used": 3,
        "roles": (),
        "databases": (),
        "holders": (HOLDER,),
        "walsenders": 2,
        "max_wal_senders": 10,
        "senders": (),
    }
    return connection_slots(expectation(dsn, role), SessionsAnswer(occupancy=Occupancy(**(fields | changed))))[0]


def test_unknown_client_values_are_not_facts():
    one = slots()

    assert {
        "role": "app",
        "state": "idle",
        "used": 3,
        "usable": 97,
        "server": "postgresql://h/shop",
    } == facts(expectation(), one.used, one.usable, one.holders)
    assert "3 by an unnamed application as app to shop from a Unix socket, idle" == _line(HOLDER)


def test_dsn_without_address_uses_the_target_name():
    assert "target" == slots("service=shop").subject


def test_used_reserved_connections_exceed_100_percent():
    full = slots(used=99)

    assert (100 * 99 / 97, 0) == (full.share, full.free)
    assert "99 of 97, 3 more reserved; clients are refused" in full.detail


def test_limit_of_zero_is_fully_used():
    nobody = slots(role="app", roles=(Share(name="app", used=0, limit=0),))

    assert (100, 0) == (nobody.share, nobody.free)


def test_empty_answer_is_unknown():
    with pytest.raises(CouldNotObserve):
        connection_slots(expectation(), SessionsAnswer())


def test_free_connections_of_a_role_are_limited_by_the_server():
    assert 1 == slots(role="app", used=96, roles=(Share(name="app", used=0, limit=10),)).free


@given(*[st.integers(0, 2**31 - 1)] * 5)
def test_any_numbers_are_judged(used, most, superuser_reserved, reserved, limit):
    odd = {"used": used, "max_connections": most, "superuser_reserved": superuser_reserved, "reserved": reserved}
    roles = (Share(name="app", used=used, limit=limit),)

    for one in (slots(**odd), slots(**odd, role="app", roles=roles)):
        assert one.share >= 0
        assert one.free >= 0
