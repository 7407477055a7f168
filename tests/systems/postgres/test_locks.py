"""What a policy may say of locks, and what it may not."""

import pytest
from pydantic import ValidationError

from opscheck import PostgresTarget
from opscheck.systems.postgres.locks import Locks, PostgresLocks
from opscheck.testing import expect

TARGET = PostgresTarget(kind="postgres", dsn="postgresql://someone@127.0.0.1/shop")


def test_a_limit_is_needed():
    with pytest.raises(ValidationError, match=r"at least one limit \(waiting, waiters, lock_table, prepared\)"):
        expect(PostgresLocks, TARGET, severity="P1")


def test_a_lock_table_that_may_be_full_is_no_limit():
    with pytest.raises(ValidationError, match="a percentage below 100%"):
        expect(PostgresLocks, TARGET, lock_table={"P1": "100%"})


def test_expectations_about_the_same_server_ask_the_same_question():
    first, second = (
        expect(PostgresLocks, TARGET, **limit) for limit in ({"waiting": {"P1": "1m"}}, {"waiters": {"P1": 5}})
    )

    assert (Locks("target"),) == first.queries() == second.queries()
