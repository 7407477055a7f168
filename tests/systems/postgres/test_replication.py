"""Valid and invalid expectations about replication."""

import pytest
from pydantic import ValidationError

from opscheck import PostgresTarget, Severity
from opscheck.systems.postgres.replication import PostgresReplication, ReadReplication, ReadSlots
from opscheck.testing import expect

TARGET = PostgresTarget(kind="postgres", dsn="postgresql://someone@127.0.0.1/shop")


def made(**fields) -> PostgresReplication:
    return expect(PostgresReplication, TARGET, **fields)


@pytest.mark.parametrize("fields", [{}, {"silence": "60s"}, {"log_shipping": True}, {"state": "catchup"}])
def test_limit_is_required(fields):
    with pytest.raises(ValidationError, match=r"at least one limit \(role, lag, lag_bytes"):
        made(severity="P1", **fields)


def test_role_any_alone_is_rejected():
    with pytest.raises(ValidationError, match="a limit in addition to `role: any`"):
        made(role="any", severity="P1")
    assert made(role="any", lag={"P1": "5m"}).judges_replication


@pytest.mark.parametrize("fields", [{"role": "primary"}, {"replicas": ["standby_1"]}, {"slots": ["standby_1"]}])
def test_ungraded_field_needs_a_severity(fields):
    with pytest.raises(ValidationError, match="`severity` of a violation"):
        made(**fields)


@pytest.mark.parametrize("fields", [{"replicas": []}, {"replicas": [""]}, {"slots": []}, {"minimum": {"P1": 0}}])
def test_empty_names_and_zero_are_rejected(fields):
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
def test_only_limits_cause_queries(fields, queries):
    assert queries == list(made(severity="P1", **fields).queries())


def test_required_rights_are_listed():
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
def test_lag_limit_requires_a_replica(fields, needs):
    assert needs == made(**fields).needs_a_replica


def test_missing_answer_has_the_worst_severity():
    assert Severity.P0 == made(slot_unlimited="P0", slot_retained={"P2": "5GB"}).worst_severity


def test_unreserved_slot_has_the_severity_of_the_first_step():
    assert Severity.P2 == made(slot_retained={"P2": "5GB", "P0": "20GB"}, severity="P1").mild_slot_severity
    assert Severity.P1 == made(slots=["a"], severity="P1").mild_slot_severity
