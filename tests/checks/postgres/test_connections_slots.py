"""What the numbers of a PostgreSQL server mean, without a server."""

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


def test_what_a_client_does_not_say_is_no_fact():
    one = slots()

    assert {
        "role": "app",
        "state": "idle",
        "used": 3,
        "usable": 97,
        "server": "postgresql://h/shop",
    } == facts(expectation(), one.used, one.usable, one.holders)
    assert "3 by an application without a name as app to shop from a Unix socket, idle" == _line(HOLDER)


def test_a_dsn_that_names_nothing_is_called_by_the_name_of_its_target():
    assert "target" == slots("service=shop").subject


def test_reserved_connections_in_use_are_more_than_all():
    full = slots(used=99)

    assert (100 * 99 / 97, 0) == (full.share, full.free)
    assert "99 of 97, 3 more are reserved; clients are refused" in full.detail


def test_a_limit_of_nothing_is_used_up():
    nobody = slots(role="app", roles=(Share(name="app", used=0, limit=0),))

    assert (100, 0) == (nobody.share, nobody.free)


def test_an_answer_without_numbers_and_without_a_refusal_proves_nothing():
    with pytest.raises(CouldNotObserve):
        connection_slots(expectation(), SessionsAnswer())


def test_a_role_can_have_no_more_than_the_server_has_left():
    assert 1 == slots(role="app", used=96, roles=(Share(name="app", used=0, limit=10),)).free


@given(*[st.integers(0, 2**31 - 1)] * 5)
def test_no_numbers_are_too_odd(used, most, superuser_reserved, reserved, limit):
    odd = {"used": used, "max_connections": most, "superuser_reserved": superuser_reserved, "reserved": reserved}
    roles = (Share(name="app", used=used, limit=limit),)

    for one in (slots(**odd), slots(**odd, role="app", roles=roles)):
        assert one.share >= 0
        assert one.free >= 0
