"""Lifetimes and weaknesses of certificates."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace
from pydantic import ValidationError

from opscheck import Severity
from opscheck.core.findings import Findings
from opscheck.systems.tls.lifetime import (
    DEFAULT_SHARE,
    CertificatesLast,
    Lifetime,
    judge_lifetime,
    severity_of,
    weaknesses,
)
from opscheck.systems.tls.x509 import Certificate, path_from

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
_SAID = {"subject": "CN=api", "issuer": "CN=Authority", "serial": "1A", "fingerprint": "ab"}


def expectation(**fields) -> CertificatesLast:
    return CertificatesLast.model_validate({"id": "certificates", "check": "any", **fields})


def certificate(age: float = 10, left: float = 80, **fields) -> Certificate:
    """One of so many days, of which so many are left."""
    return Certificate(not_before=NOW - age * DAY, not_after=NOW + left * DAY, **(_SAID | fields))


def graded(age: float, left: float, **fields) -> Severity | None:
    return severity_of(expectation(**fields), Lifetime.of(certificate(age, left)), NOW)


def test_without_a_limit_it_is_a_quarter_an_eighth_and_the_end():
    assert "P3 >= 25%, P1 >= 12.5%, P0 >= 0%" == str(expectation().remaining_share)
    assert Severity.P0 == expectation().worst_severity


def test_a_limit_of_time_takes_the_place_of_the_share():
    given = expectation(remaining={"P3": "30d", "P1": "7d"})

    assert given.remaining_share is None
    assert Severity.P1 == given.worst_severity


def test_both_may_be_given():
    given = expectation(remaining={"P0": "1d"}, remaining_share={"P3": "25%"})

    assert ["remaining", "remaining_share"] == list(given.limits())


def test_a_plain_limit_takes_the_severity():
    assert "P2 >= 30d" == str(expectation(remaining="30d", severity="P2").remaining)


def test_a_share_that_no_certificate_could_have_is_refused():
    with pytest.raises(ValidationError, match="a percentage below 100%"):
        expectation(remaining_share={"P3": "100%"})


def test_worst_severity_includes_weak_keys():
    assert Severity.P0 == expectation(remaining={"P3": "30d"}, weak="P0").worst_severity


def test_the_default_is_in_order():
    assert DEFAULT_SHARE == expectation(remaining_share={"P3": "25%", "P1": "12.5%", "P0": "0%"}).remaining_share


@pytest.mark.parametrize(
    ("severity", "age", "left"),
    [
        (None, 3, 1),  # exactly a quarter
        (Severity.P3, 3.1, 1),
        (Severity.P3, 7, 1),  # exactly an eighth
        (Severity.P1, 7.1, 1),
        (Severity.P1, 6, 0),  # its last moment
        (Severity.P0, 6.1, -0.1),
        (None, 0.5, 5.5),  # of six days, and red at no time that its renewal would be in time
        (None, 4, 2),
    ],
)
def test_the_default_goes_by_the_lifetime(severity, age, left):
    assert severity == graded(age, left)


@pytest.mark.parametrize(("severity", "left"), [(None, 30), (Severity.P3, 29.99), (Severity.P1, 6.9), ("P0", 0.9)])
def test_a_limit_of_time_is_counted_in_seconds_and_not_in_days(severity, left):
    assert severity == graded(60, left, remaining={"P3": "30d", "P1": "7d", "P0": "1d"})


def test_ended_lifetime_without_start_is_reported():
    ended = Lifetime(None, NOW - DAY)

    assert Severity.P0 == severity_of(expectation(), ended, NOW)
    assert "ended 1d ago, on 2026-02-28 12:00 UTC" == ended.remaining_text(NOW)


def test_both_limits_give_one_finding_and_two_measurements():
    asked = expectation(remaining={"P3": "30d", "P1": "7d"}, remaining_share={"P2": "25%"})
    findings = Findings(asked)
    judge_lifetime(findings, asked, Lifetime.of(certificate(84, 6)), NOW, subject="api", evidence=("why",))
    (finding,) = findings.violations

    assert (Severity.P1, ">= 7d left", None) == (finding.severity, finding.expected, finding.since)
    assert "ends in 6d (6.667% of its lifetime left), on 2026-03-07 12:00 UTC" == finding.observed
    assert [("remaining", 6 * 86400, "s", 7 * 86400), ("remaining share", pytest.approx(100 / 15), "%", 25)] == [
        (one.name, one.value, one.unit, one.limit) for one in findings.measurements
    ]


def test_lasting_certificate_is_only_measured():
    findings = Findings(expectation())
    judge_lifetime(findings, expectation(), Lifetime.of(certificate()), NOW, subject="api")

    assert [] == findings.violations
    assert ["remaining", "remaining share"] == [one.name for one in findings.measurements]


def test_ended_certificate_has_since():
    findings = Findings(expectation())
    judge_lifetime(findings, expectation(), Lifetime.of(certificate(90, -2)), NOW, subject="api")

    assert [(Severity.P0, NOW - 2 * DAY, ">= 0% of its lifetime left")] == [
        (one.severity, one.since, one.expected) for one in findings.violations
    ]


def test_early_certificate_names_its_start():
    assert "not valid before 2026-03-02 12:00 UTC, in 1d" == Lifetime.of(certificate(-1, 90)).early_text(NOW)
    assert "" == Lifetime.of(certificate(0, 90)).early_text(NOW)


@pytest.mark.parametrize(
    ("weak", "fields"),
    [
        ([("RSA key of 1024 bits", ">= 2048 bits")], {"key": "RSA", "key_bits": 1024}),
        ([("EC key of 192 bits", ">= 256 bits")], {"key": "EC", "key_bits": 192}),
        ([("signed with SHA1", "SHA-256 or better")], {"signature_hash": "sha1"}),
        ([("signed with 1.2.840.113549.1.1.2", "SHA-256 or better")], {"signature_hash": "1.2.840.113549.1.1.2"}),
        ([], {"key": "RSA", "key_bits": 2048, "signature_hash": "sha256"}),
        ([], {"key": "Ed25519"}),
        ([], {"signature_hash": "sha1", "self_issued": True}),
    ],
)
def test_short_keys_and_forgeable_signatures_are_weak(weak, fields):
    assert weak == list(weaknesses(expectation(), certificate(**fields)))


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("api.example.com", {"names": ("api.example.com", "b")}),
        ("CN=api", {}),
        ("serial 1A", {"subject": ""}),
    ],
)
def test_label_prefers_names_over_subject(name, fields):
    assert name == certificate(**fields).label


def test_longest_lasting_signer_is_chosen():
    leaf = certificate(issuer="CN=Middle")
    old, new = (certificate(10, left, subject="CN=Middle", issuer="CN=Root", serial=str(left)) for left in (1, 500))
    root = certificate(10, 900, subject="CN=Root", issuer="CN=Root", self_issued=True)

    assert (leaf, new, root) == path_from(leaf, [old, root, new, leaf])


def test_authorities_that_sign_each_other_end_somewhere():
    one = certificate(subject="CN=One", issuer="CN=Two")
    two = certificate(subject="CN=Two", issuer="CN=One")

    assert (one, two) == path_from(one, [one, two])


def test_endless_certificate_ends_with_its_authority():
    """RFC 5280 uses 9999-12-31 for certificates without an end."""
    endless = certificate(subject="CN=device", issuer="CN=Authority")
    endless = replace(endless, not_after=datetime(9999, 12, 31, tzinfo=UTC))
    authority = certificate(subject="CN=Authority", left=20)

    assert authority.not_after == Lifetime.of_path((endless, authority)).end
    assert Severity.P1 == severity_of(expectation(), Lifetime.of_path((endless, authority)), NOW)
