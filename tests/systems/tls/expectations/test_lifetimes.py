"""Limits on how long certificates last, as policies write them."""

import pytest
from pydantic import ValidationError

from opscheck import Severity
from opscheck.systems.tls.expectations.lifetimes import DEFAULT_SHARE, CertificatesLast


def limits(**fields) -> CertificatesLast:
    return CertificatesLast.model_validate({"id": "certificates", "check": "any", **fields})


def test_without_a_limit_it_is_a_quarter_an_eighth_and_the_end():
    assert "P3 at least 25%, P1 at least 12.5%, P0 at least 0%" == str(limits().remaining_share)
    assert Severity.P0 == limits().worst_severity


def test_a_limit_of_time_takes_the_place_of_the_share():
    expectation = limits(remaining={"P3": "30d", "P1": "7d"})

    assert expectation.remaining_share is None
    assert Severity.P1 == expectation.worst_severity


def test_both_may_be_given():
    expectation = limits(remaining={"P0": "1d"}, remaining_share={"P3": "25%"})

    assert ["remaining", "remaining_share"] == list(expectation.limits())


def test_a_plain_limit_takes_the_severity():
    assert "P2 at least 30d" == str(limits(remaining="30d", severity="P2").remaining)


def test_a_share_that_no_certificate_could_have_is_refused():
    with pytest.raises(ValidationError, match="a percentage below 100%"):
        limits(remaining_share={"P3": "100%"})


def test_weak_keys_count_for_what_it_can_be_at_worst():
    assert Severity.P0 == limits(remaining={"P3": "30d"}, weak="P0").worst_severity


def test_the_default_is_in_order():
    assert DEFAULT_SHARE == limits(remaining_share={"P3": "25%", "P1": "12.5%", "P0": "0%"}).remaining_share
