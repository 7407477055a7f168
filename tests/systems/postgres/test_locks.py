"""Valid and invalid expectations about locks."""

import pytest
from pydantic import ValidationError

from opscheck import PostgresTarget
from opscheck.systems.postgres.locks import Locks, PostgresLocks
from opscheck.testing import expect

TARGET = PostgresTarget(kind="postgres", dsn="postgresql://someone@127.0.0.1/shop")


def test_limit_is_required():
    with pytest.raises(ValidationError, match=r"at least one limit \(waiting, waiters, lock_table, prepared\)"):
        expect(PostgresLocks, TARGET, severity="P1")


def test_lock_table_of_100_percent_is_rejected():
    with pytest.raises(ValidationError, match="a percentage below 100%"):
        expect(PostgresLocks, TARGET, lock_table={"P1": "100%"})


def test_expectations_of_one_server_share_the_query():
    first, second = (
        expect(PostgresLocks, TARGET, **limit) for limit in ({"waiting": {"P1": "1m"}}, {"waiters": {"P1": 5}})
    )

    assert (Locks("target"),) == first.queries() == second.queries()
