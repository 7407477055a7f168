"""kubernetes.certificates: judged by times and not by Ready. Tests are named after the traps they come from."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opscheck import KubernetesTarget, Severity
from opscheck.demo.kubernetes import (
    certificate_request,
    challenge,
    condition,
    event,
    issuer,
    issuing,
    order,
    ready,
    timestamp,
)
from opscheck.queries.kubernetes.certificates import (
    Certificate,
    ListCertificateRequests,
    ListCertificates,
    ListChallenges,
    ListClusterIssuers,
    ListOrders,
    ListTlsSecrets,
)
from opscheck.queries.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.readings.kubernetes.certificates import lifetime_of
from tests.checks.kubernetes.judging_certificates import (
    DAY,
    NOW,
    a_certificate,
    ago,
    commands,
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
    assert ("Ready=True all the same: cert-manager has not looked at it since it ended",) == finding.evidence


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


def test_waifulabs_5655_one_that_is_renewed_in_its_last_tenth_is_no_alarm_before():
    assert [] == observed(judged(a_certificate(age=80, renewal=NOW + DAY)))


def test_a_limit_of_the_policy_holds_whatever_is_planned():
    finding = only(a_certificate(age=80, renewal=NOW + DAY), remaining={"P3": "14d", "P1": "7d"})

    assert ("at least 14d left", Severity.P3) == (finding.expected, finding.severity)


def test_one_of_six_days_is_not_red_for_life():
    days = [a_certificate(f"day-{age}", age=age, lifetime=6 * DAY) for age in (0, 1, 2, 3, 3.9)]

    assert [] == observed(judged(*days))


def test_where_no_renewal_is_planned_the_lifetime_decides():
    assert [] == observed(judged(a_certificate(age=60, renewed=False)))
    assert [(Severity.P3, "at least 25% of its lifetime left")] == [
        (one.severity, one.expected) for one in judged(a_certificate(age=70, renewed=False)).violations
    ]


def test_one_that_is_being_issued_anew_is_no_trouble_while_the_old_one_is_valid():
    renewing = (ready(ago(days=60)), issuing(ago(minutes=1)))

    assert [] == observed(judged(a_certificate(age=60.02, conditions=renewing)))


def test_an_attempt_that_failed_is_no_trouble_before_the_renewal_is_overdue_but_is_counted():
    findings = judged(a_certificate(age=60.03, **FAILED))

    assert [] == findings.violations
    assert 1 == next(one.value for one in findings.measurements if one.name == "failing issuances")


def test_one_that_is_not_valid_yet_hints_at_the_clock():
    finding = only(a_certificate(age=-1))

    assert "not valid before 2026-03-11 12:00 UTC, in 1d" == finding.observed
    assert finding.evidence[0].startswith("if it was just issued: is the clock right here")


# Not issued


@pytest.mark.parametrize(("count", "age"), [(0, {"minutes": 15}), (1, {"minutes": 15, "seconds": 1})])
def test_the_first_issuance_has_its_grace(count, age):
    assert count == len(observed(judged(not_issued(created=ago(**age)))))


def test_a_first_issuance_that_failed_has_no_grace_and_says_when_it_is_tried_again():
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

    assert "not issued for 1h: cert-manager says nothing of it: does it run?" == finding.observed
    assert "api" == finding.facts["unseen"]


# Not ready


@pytest.mark.parametrize(("count", "since"), [(0, {"minutes": 15}), (1, {"minutes": 15, "seconds": 1})])
def test_one_that_is_not_ready_has_its_grace(count, since):
    wrong = ready(ago(**since), False, "IncorrectIssuer", "Issuing certificate as Secret was issued by another")

    assert count == len(observed(judged(a_certificate(conditions=(wrong,)))))


def test_one_that_is_not_ready_says_why_and_what_is_there_instead():
    wrong = ready(ago(hours=1), False, "IncorrectIssuer", "It was previously issued by Issuer/old")
    finding = only(a_certificate(conditions=(wrong,)), issuer())

    assert (
        "not ready for 1h: IncorrectIssuer; what is there ends in 70d (77.78% of its lifetime left), "
        "on 2026-05-19 12:00 UTC" == finding.observed
    )
    assert ("Ready=False (IncorrectIssuer): It was previously issued by Issuer/old",) == finding.evidence
    assert ("ready again within 15m", ago(hours=1)) == (finding.expected, finding.since)


def test_ready_that_is_unknown_is_not_ready():
    assert 1 == len(observed(judged(a_certificate(conditions=(ready(ago(hours=1), "Unknown"),)))))


def test_one_that_was_changed_and_not_looked_at_since_is_unknown():
    changed = a_certificate()
    changed["metadata"]["generation"] = 2

    with pytest.raises(CouldNotObserve, match="cert-manager has not looked at api since their spec changed"):
        judged(changed)


def test_one_that_goes_is_not_judged():
    going = a_certificate(age=95)
    going["metadata"]["deletionTimestamp"] = timestamp(NOW)

    assert [] == observed(judged(going))


# Evidence

PENDING = (condition("Approved", True, NOW), condition("Ready", False, NOW, "Pending", "Waiting for order api-1-2"))


def chain(**fields):
    return (
        certificate_request("api-1", of="api", conditions=PENDING),
        order("api-1-2", of="api-1"),
        challenge("api-1-2-3", of="api-1-2", **{"host": "api.example.com", "reason": "got status 404"} | fields),
    )


def test_request_order_and_challenge_are_told_down_to_the_name_that_is_not_proven():
    finding = only(not_issued(conditions=()), *chain(), issuer())

    assert (
        "certificate request api-1 is not ready (Pending): Waiting for order api-1-2",
        "order api-1-2 is pending",
        "challenge api-1-2-3 for api.example.com (HTTP-01) is pending: got status 404",
    ) == finding.evidence


def test_nothing_of_the_challenges_key_and_token_is_read():
    findings = judged(not_issued(), *chain())

    assert b"planted" not in msgspec.json.encode([one.evidence for one in findings.violations])


def test_of_several_requests_the_newest_is_told_and_old_ones_have_succeeded():
    old = certificate_request("api-9", of="api", revision=9, conditions=(condition("Ready", True, NOW, "Issued"),))
    new = certificate_request("api-10", of="api", revision=10, conditions=PENDING)

    assert any("api-10 is not ready" in line for line in only(a_certificate(age=65), old, new).evidence)


def test_requests_orders_and_challenges_of_others_are_left_alone():
    others = (
        certificate_request("web-1", of="web", conditions=PENDING),
        order("web-1-2", of="web-1"),
        certificate_request("api-1", "other", of="api", conditions=PENDING),
    )

    assert () == only(not_issued(conditions=()), issuer(), *others).evidence


@pytest.mark.parametrize(
    ("told", "conditions"),
    [
        ("was denied: not by this policy", (condition("Denied", True, NOW, "Policy", "not by this policy"),)),
        ("is refused as invalid: no such usage", (condition("InvalidRequest", True, NOW, "", "no such usage"),)),
        ("is approved by nobody: does cert-manager's approver run, or another in its place?", ()),
    ],
)
def test_a_request_that_nobody_approves_says_so(told, conditions):
    request = certificate_request("api-1", of="api", conditions=conditions)

    assert f"certificate request api-1 {told}" in only(not_issued(), request).evidence


@pytest.mark.parametrize("namespace", ["", "default"])
def test_an_issuer_that_is_not_ready_is_told_with_its_reason(namespace):
    kind = "Issuer" if namespace else "ClusterIssuer"
    wrong = condition("Ready", False, NOW, "ErrRegisterACMEAccount", "no such host")
    finding = only(not_issued(issuer="acme", issuer_kind=kind), issuer("acme", namespace, wrong))
    called = "issuer" if namespace else "cluster issuer"

    assert f"{called} acme is not ready (ErrRegisterACMEAccount): no such host" in finding.evidence


def test_an_issuer_that_does_not_exist_is_told():
    assert "there is no issuer mine" in only(not_issued(issuer="mine", issuer_kind="Issuer")).evidence


def test_issuers_of_others_are_not_looked_up():
    external = not_issued(conditions=())
    external["spec"]["issuerRef"]["group"] = "awspca.cert-manager.io"

    assert () == only(external).evidence


def test_where_no_acme_is_installed_nothing_is_missed():
    finding = only(
        *chain()[:1], not_issued(conditions=()), issuer(), missing={ListOrders: ABSENT, ListChallenges: ABSENT}
    )

    assert 1 == len(finding.evidence)


def test_what_may_not_be_read_is_said_and_changes_no_verdict():
    missing = {ListCertificateRequests: DENIED, ListClusterIssuers: DENIED}
    finding = only(not_issued(conditions=()), missing=missing)

    assert {
        "cluster issuers could not be read: may not list them",
        "certificate requests could not be read: may not list them",
    } == set(finding.evidence)
    assert [] == observed(judged(a_certificate(), missing=missing))


def test_warnings_about_it_are_told_last():
    said = event("failed", about="Certificate/api", reason="Failed", message="order failed", kind="Warning", at=NOW)

    assert "Failed, 0s ago: order failed" == only(not_issued(), said).evidence[-1]


# What to type


def test_a_failing_issuance_is_told_with_what_to_type():
    assert [
        "kubectl -n default describe certificate api",
        "kubectl -n default describe certificaterequest api-1",
        "kubectl -n default describe order api-1-2",
        "kubectl -n default describe challenge api-1-2-3",
        "cmctl -n default renew api  # once the cause is mended",
    ] == commands(judged(not_issued(), *chain(), issuer()))


def test_commands_name_the_context_that_the_policy_pins():
    target = KubernetesTarget(kind="kubernetes", namespace="default", context="prod")
    typed = commands(judged(not_issued(), target=target), target)

    assert "cmctl --context prod -n default renew api  # once the cause is mended" in typed
    assert all("--context prod" in command for command in typed)


# Selecting


def test_no_certificate_where_some_were_expected_is_a_violation():
    assert "0 certificates" == only().observed


def test_none_may_be_there_where_the_policy_says_so():
    assert [] == observed(judged(min_matches=0))


def test_a_cluster_without_cert_manager_is_unknown_and_skipped_only_by_the_policys_word():
    with pytest.raises(CouldNotObserve):
        judged(missing={ListCertificates: ABSENT})
    assert not expectation_of().does_not_apply(ABSENT)
    assert expectation_of(when_absent="skip").does_not_apply(ABSENT)


def test_secrets_are_not_asked_unless_the_policy_says_so():
    def asked(**fields):
        return [query for query in expectation_of(**fields).queries() if isinstance(query, ListTlsSecrets)]

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
    lifetime = lifetime_of(msgspec.convert(one, Certificate))
    findings = judged(one)

    if lifetime is not None and lifetime.left(NOW) < 0:
        assert findings.violations
