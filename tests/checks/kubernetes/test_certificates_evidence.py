"""kubernetes.certificates: why a certificate is not issued, and what to type. Evidence alone, and no verdict."""

import msgspec
import pytest

from opscheck import KubernetesTarget
from opscheck.core.observation import Problem, ProblemKind
from opscheck.demo.kubernetes import (
    certificate_request,
    challenge,
    condition,
    event,
    issuer,
    order,
)
from opscheck.systems.kubernetes.certificates import (
    ListCertificateRequests,
    ListChallenges,
    ListClusterIssuers,
    ListOrders,
)
from tests.checks.kubernetes.judging_certificates import (
    NOW,
    a_certificate,
    commands,
    judged,
    not_issued,
    observed,
)

ABSENT = Problem(kind=ProblemKind.ABSENT, text="the cluster serves no such objects")
DENIED = Problem(kind=ProblemKind.DENIED, text="may not list them")


def only(*objects, **fields):
    """The one finding."""
    (violation,) = judged(*objects, **fields).violations
    return violation


PENDING = (condition("Approved", True, NOW), condition("Ready", False, NOW, "Pending", "Waiting for order api-1-2"))


def chain(**fields):
    return (
        certificate_request("api-1", of="api", conditions=PENDING),
        order("api-1-2", of="api-1"),
        challenge("api-1-2-3", of="api-1-2", **{"host": "api.example.com", "reason": "got status 404"} | fields),
    )


def test_request_order_and_challenge_are_evidence_with_the_name():
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
        ("is not approved: check that cert-manager's approver, or its replacement, runs", ()),
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
    assert "issuer mine does not exist" in only(not_issued(issuer="mine", issuer_kind="Issuer")).evidence


def test_issuers_of_others_are_not_looked_up():
    external = not_issued(conditions=())
    external["spec"]["issuerRef"]["group"] = "awspca.cert-manager.io"

    assert () == only(external).evidence


def test_where_no_acme_is_installed_nothing_is_missed():
    finding = only(
        *chain()[:1], not_issued(conditions=()), issuer(), missing={ListOrders: ABSENT, ListChallenges: ABSENT}
    )

    assert 1 == len(finding.evidence)


def test_unreadable_evidence_is_reported_without_a_verdict_change():
    missing = {ListCertificateRequests: DENIED, ListClusterIssuers: DENIED}
    finding = only(not_issued(conditions=()), missing=missing)

    assert {
        "cluster issuers could not be read: may not list them",
        "certificate requests could not be read: may not list them",
    } == set(finding.evidence)
    assert [] == observed(judged(a_certificate(), missing=missing))


def test_unreadable_orders_are_evidence_for_a_pending_request():
    request, its_order, _ = chain()

    assert "orders could not be read: may not list them" in (
        only(not_issued(), request, issuer(), missing={ListOrders: DENIED}).evidence
    )
    assert "challenges could not be read: may not list them" in (
        only(not_issued(), request, its_order, issuer(), missing={ListChallenges: DENIED}).evidence
    )


def test_issuer_without_status_is_evidence_and_a_denied_one_is_not():
    silent = issuer("mine", "default")
    silent["status"] = {}

    assert "issuer mine reports no state" in (only(not_issued(issuer="mine", issuer_kind="Issuer"), silent).evidence)
    assert () == only(not_issued(conditions=()), missing={ListClusterIssuers: ABSENT}).evidence


def test_of_many_challenges_some_are_told():
    request, its_order, _ = chain()
    many = [
        challenge(f"api-{number}", of="api-1-2", host=f"{number}.example.com", reason="no such host", state=state)
        for number, state in enumerate(["pending"] * 5 + ["valid"])
    ]
    finding = only(not_issued(conditions=()), request, its_order, issuer(), *many)

    assert "challenge api-2 for 2.example.com (HTTP-01) is pending: no such host" == finding.evidence[-2]
    assert "and 2 more" == finding.evidence[-1]


def test_an_order_that_is_done_is_not_told():
    request, *_ = chain()
    done = order("api-1-2", of="api-1", state="valid")

    assert 1 == len(only(not_issued(conditions=()), request, done, issuer()).evidence)


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
        "cmctl -n default renew api  # after the cause is fixed",
    ] == commands(judged(not_issued(), *chain(), issuer()))


def test_commands_name_the_context_that_the_policy_pins():
    target = KubernetesTarget(kind="kubernetes", namespace="default", context="prod")
    typed = commands(judged(not_issued(), target=target), target)

    assert "cmctl --context prod -n default renew api  # after the cause is fixed" in typed
    assert all("--context prod" in command for command in typed)
