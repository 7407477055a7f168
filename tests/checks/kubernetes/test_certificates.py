"""kubernetes.certificates: judged by times and not by Ready. Tests are named after the traps they come from."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opscheck import Severity
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.demo.kubernetes import (
    issuer,
    issuing,
    ready,
    timestamp,
)
from opscheck.systems.kubernetes.certificates import Certificate, ListCertificates, ListTlsSecrets
from tests.checks.kubernetes.judging_certificates import (
    DAY,
    NOW,
    a_certificate,
    ago,
    expectation_of,
    judged,
    not_issued,
    observed,
)

FAILED = {"lastFailureTime": timestamp(ago(minutes=20)), "failedIssuanceAttempts": 3}
ABSENT = Problem(kind=ProblemKind.ABSENT, text="the cluster serves no such objects")
DENIED = Problem(kind=ProblemKind.DENIED, text="may not list them")


def only(*objects, **fields):
    """The one finding."""
    (violation,) = judged(*objects, **fields).violations
    return violation


# Valid and renewed


def test_a_certificate_that_is_valid_and_will_be_renewed_passes_and_is_measured():
    findings = judged(a_certificate("api"), a_certificate("web", age=40))

    assert [] == findings.violations
    assert [
        ("certificates", 2, ""),
        ("failing issuances", 0, ""),
        ("remaining", 50 * 86400, "s"),
        ("remaining share", pytest.approx(100 * 5 / 9), "%"),
    ] == [(one.name, one.value, one.unit) for one in findings.measurements]
    assert ["web", "web"] == [one.subject for one in findings.measurements[2:]]


def test_cert_manager_7895_one_that_ended_is_told_though_it_says_ready():
    finding = only(a_certificate(age=95), issuer())

    assert "ended 5d ago, on 2026-03-05 12:00 UTC; renewal overdue for 35d" == finding.observed
    assert (Severity.P0, ago(days=5)) == (finding.severity, finding.since)
    assert ("still Ready=True: cert-manager has not processed it since it expired",) == finding.evidence


@pytest.mark.parametrize(("count", "late"), [(0, {"hours": 2}), (1, {"hours": 2, "seconds": 1})])
def test_a_renewal_may_be_late_for_its_grace_and_no_longer(count, late):
    assert count == len(observed(judged(a_certificate(renewal=ago(**late)))))


def test_a_renewal_that_is_overdue_is_told_with_what_is_left():
    finding = only(a_certificate(age=65), issuer())

    assert "ends in 25d (27.78% of its lifetime left), on 2026-04-04 12:00 UTC; renewal overdue for 5d" == (
        finding.observed
    )
    assert "renewed within 2h of 2026-03-05 12:00 UTC" == finding.expected
    assert (Severity.P2, ago(days=5), ()) == (finding.severity, finding.since, finding.evidence)


@pytest.mark.parametrize(("severity", "age"), [(Severity.P2, 62), (Severity.P1, 79), (Severity.P0, 90.1)])
def test_an_overdue_renewal_is_worse_the_less_is_left(severity, age):
    assert severity == only(a_certificate(age=age)).severity


def test_waifulabs_5655_late_renewal_passes_before_it_is_due():
    assert [] == observed(judged(a_certificate(age=80, renewal=NOW + DAY)))


def test_a_limit_of_the_policy_holds_whatever_is_planned():
    finding = only(a_certificate(age=80, renewal=NOW + DAY), remaining={"P3": "14d", "P1": "7d"})

    assert (">= 14d left", Severity.P3) == (finding.expected, finding.severity)


def test_one_of_six_days_is_not_red_for_life():
    days = [a_certificate(f"day-{age}", age=age, lifetime=6 * DAY) for age in (0, 1, 2, 3, 3.9)]

    assert [] == observed(judged(*days))


def test_where_no_renewal_is_planned_the_lifetime_decides():
    assert [] == observed(judged(a_certificate(age=60, renewed=False)))
    assert [(Severity.P3, ">= 25% of its lifetime left")] == [
        (one.severity, one.expected) for one in judged(a_certificate(age=70, renewed=False)).violations
    ]


def test_one_that_is_being_issued_anew_is_no_trouble_while_the_old_one_is_valid():
    renewing = (ready(ago(days=60)), issuing(ago(minutes=1)))

    assert [] == observed(judged(a_certificate(age=60.02, conditions=renewing)))


def test_failed_attempt_before_the_due_renewal_is_only_counted():
    findings = judged(a_certificate(age=60.03, **FAILED))

    assert [] == findings.violations
    assert 1 == next(one.value for one in findings.measurements if one.name == "failing issuances")


def test_one_that_is_not_valid_yet_hints_at_the_clock():
    finding = only(a_certificate(age=-1))

    assert "not valid before 2026-03-11 12:00 UTC, in 1d" == finding.observed
    assert finding.evidence[0].startswith("for a new certificate, compare the clocks here")


# Not issued


@pytest.mark.parametrize(("count", "age"), [(0, {"minutes": 15}), (1, {"minutes": 15, "seconds": 1})])
def test_the_first_issuance_has_its_grace(count, age):
    assert count == len(observed(judged(not_issued(created=ago(**age)))))


def test_failed_first_issuance_has_no_grace_and_names_the_retry():
    finding = only(not_issued(created=ago(minutes=5), **FAILED))

    assert "not issued for 5m: 3 attempts failed, the last 20m ago, the next in 3h40m" == finding.observed


@pytest.mark.parametrize(
    ("told", "attempts", "last"),
    [
        ("1 attempt failed, the last 2h ago, the next due", 1, {"hours": 2}),
        ("1 attempt failed, the last 20m ago, the next in 40m", None, {"minutes": 20}),
        ("40 attempts failed, the last 20m ago, the next in 31h40m", 40, {"minutes": 20}),
    ],
)
def test_attempts_are_repeated_after_ever_longer_and_after_32_hours_at_most(told, attempts, last):
    failed = {"lastFailureTime": timestamp(ago(**last)), "failedIssuanceAttempts": attempts}

    assert told.replace("31h40m", "1d7h") in only(not_issued(**failed)).observed


def test_one_that_cert_manager_says_nothing_of_is_told_as_that():
    finding = only(not_issued(conditions=()))

    assert "not issued for 1h: cert-manager has not processed it" == finding.observed
    assert "api" == finding.facts["certificate"]


# Not ready


@pytest.mark.parametrize(("count", "since"), [(0, {"minutes": 15}), (1, {"minutes": 15, "seconds": 1})])
def test_one_that_is_not_ready_has_its_grace(count, since):
    wrong = ready(ago(**since), False, "IncorrectIssuer", "Issuing certificate as Secret was issued by another")

    assert count == len(observed(judged(a_certificate(conditions=(wrong,)))))


def test_one_that_is_not_ready_says_why_and_what_is_there_instead():
    wrong = ready(ago(hours=1), False, "IncorrectIssuer", "It was previously issued by Issuer/old")
    finding = only(a_certificate(conditions=(wrong,)), issuer())

    assert (
        "not ready for 1h: IncorrectIssuer; the current certificate ends in 70d (77.78% of its lifetime left), "
        "on 2026-05-19 12:00 UTC" == finding.observed
    )
    assert ("Ready=False (IncorrectIssuer): It was previously issued by Issuer/old",) == finding.evidence
    assert ("ready again within 15m", ago(hours=1)) == (finding.expected, finding.since)


def test_ready_that_is_unknown_is_not_ready():
    assert 1 == len(observed(judged(a_certificate(conditions=(ready(ago(hours=1), "Unknown"),)))))


def test_one_that_was_changed_and_not_looked_at_since_is_unknown():
    changed = a_certificate()
    changed["metadata"]["generation"] = 2

    with pytest.raises(CouldNotObserve, match="cert-manager has not processed the changed spec of api"):
        judged(changed)


def test_one_that_goes_is_not_judged():
    going = a_certificate(age=95)
    going["metadata"]["deletionTimestamp"] = timestamp(NOW)

    assert [] == observed(judged(going))


def sharing(*certificates):
    for one in certificates:
        one["spec"]["secretName"] = "shared-tls"
    return certificates


def test_two_that_are_kept_in_one_secret_are_told_at_the_younger():
    finding = only(*sharing(a_certificate("old"), a_certificate("new", age=3)))

    assert ("new", "a secret of its own") == (finding.subject, finding.expected)
    assert "shares secret shared-tls with certificate old: only one can be issued" == finding.observed


def test_one_that_is_not_issued_since_another_is_kept_in_its_secret_says_so():
    finding = only(*sharing(a_certificate("old"), not_issued("new", conditions=())), issuer(), name="new")

    assert finding.observed.startswith("not issued for 1h")
    assert ("shares secret shared-tls with certificate old: only one can be issued",) == finding.evidence


def test_secrets_of_one_name_in_several_namespaces_are_several():
    elsewhere = a_certificate("web", namespace="other")

    assert [] == observed(judged(*sharing(a_certificate("api"), elsewhere), namespace=["default", "other"]))


def test_where_it_looks_at_several_namespaces_findings_say_which():
    finding = only(a_certificate("api"), a_certificate("web", namespace="other", age=95), namespace="*")

    assert ("other/web", "other") == (finding.subject, finding.facts["namespace"])


# Selecting


def test_no_certificate_where_some_were_expected_is_a_violation():
    assert "0 certificates" == only().observed


def test_none_may_be_there_where_the_policy_says_so():
    assert [] == observed(judged(min_matches=0))


def test_cluster_without_cert_manager_is_unknown_unless_skipped():
    with pytest.raises(CouldNotObserve):
        judged(missing={ListCertificates: ABSENT})
    assert not expectation_of().does_not_apply(ABSENT)
    assert expectation_of(when_absent="skip").does_not_apply(ABSENT)


def test_secrets_are_not_asked_unless_the_policy_says_so():
    def asked(**fields):
        return [query for query in expectation_of(**fields).described() if isinstance(query, ListTlsSecrets)]

    assert [] == asked()
    assert [ListTlsSecrets("target", "default")] == asked(tls_secrets=True)


@given(
    st.builds(
        lambda before, after, due, failed, attempts: {
            "notBefore": before,
            "notAfter": after,
            "renewalTime": due,
            "lastFailureTime": failed,
            "failedIssuanceAttempts": attempts,
        },
        *[st.one_of(st.none(), st.integers(-(10**9), 10**9).map(lambda s: timestamp(ago(seconds=s))))] * 4,
        st.one_of(st.none(), st.integers(-3, 10**6)),
    )
)
def test_no_status_makes_it_fail_and_what_has_ended_never_passes(status):
    one = a_certificate(**status)
    lifetime = msgspec.convert(one, Certificate).lifetime
    findings = judged(one)

    if lifetime is not None and lifetime.left(NOW) < 0:
        assert findings.violations
