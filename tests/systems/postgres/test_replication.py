"""What a policy may say of replication, and what it may not."""

import pytest
from pydantic import ValidationError

from opscheck import PostgresTarget, Severity
from opscheck.systems.postgres.replication import PostgresReplication, ReadReplication, ReadSlots
from opscheck.testing import expect

TARGET = PostgresTarget(kind="postgres", dsn="postgresql://someone@127.0.0.1/shop")


def made(**fields) -> PostgresReplication:
    return expect(PostgresReplication, TARGET, **fields)


@pytest.mark.parametrize("fields", [{}, {"silence": "60s"}, {"log_shipping": True}, {"state": "catchup"}])
def test_a_limit_is_needed(fields):
    with pytest.raises(ValidationError, match=r"at least one limit \(role, lag, lag_bytes"):
        made(severity="P1", **fields)


def test_any_role_is_no_limit():
    with pytest.raises(ValidationError, match="a limit beside `role: any`"):
        made(role="any", severity="P1")
    assert made(role="any", lag={"P1": "5m"}).judges_replication


@pytest.mark.parametrize("fields", [{"role": "primary"}, {"replicas": ["standby_1"]}, {"slots": ["standby_1"]}])
def test_what_has_no_grade_needs_a_severity(fields):
    with pytest.raises(ValidationError, match="`severity` of a violation"):
        made(**fields)


@pytest.mark.parametrize("fields", [{"replicas": []}, {"replicas": [""]}, {"slots": []}, {"minimum": {"P1": 0}}])
def test_an_expectation_of_nobody_is_none(fields):
    with pytest.raises(ValidationError):
        made(severity="P1", **fields)


@pytest.mark.parametrize(
    ("fields", "queries"),
    [
        ({"lag": {"P1": "5m"}}, [ReadReplication("target")]),
        ({"slot_retained": {"P1": "5GB"}}, [ReadSlots("target")]),
        ({"role": "primary", "slot_unlimited": "P2"}, [ReadReplication("target"), ReadSlots("target")]),
    ],
)
def test_only_what_is_judged_is_asked(fields, queries):
    assert queries == list(made(severity="P1", **fields).queries())


def test_the_rights_that_it_needs_are_named():
    (query,) = made(lag={"P1": "5m"}).queries()

    assert ["pg_read_all_stats", "pg_read_all_settings"] == [grant.role for grant in query.permissions()]
    assert () == ReadSlots("target").permissions()


@pytest.mark.parametrize(
    ("fields", "needs"),
    [
        ({"lag": {"P1": "5m"}}, True),
        ({"lag_bytes": {"P1": "2GB"}}, True),
        ({"lag": {"P1": "5m"}, "minimum": {"P1": 2}}, False),
        ({"lag": {"P1": "5m"}, "replicas": ["a"]}, False),
        ({"role": "primary", "severity": "P1"}, False),
    ],
)
def test_a_limit_on_lag_needs_somebody_who_has_one(fields, needs):
    assert needs == made(**fields).needs_a_replica


def test_what_cannot_be_observed_is_as_bad_as_the_worst_that_was_asked():
    assert Severity.P0 == made(slot_unlimited="P0", slot_retained={"P2": "5GB"}).worst_severity


def test_a_slot_that_may_be_lost_soon_is_as_bad_as_the_first_step():
    assert Severity.P2 == made(slot_retained={"P2": "5GB", "P0": "20GB"}, severity="P1").mild_slot_severity
    assert Severity.P1 == made(slots=["a"], severity="P1").mild_slot_severity
