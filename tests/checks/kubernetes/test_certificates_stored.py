"""kubernetes.certificates with `tls_secrets`: what is really stored, beside what cert-manager says of it."""

import msgspec
import pytest

from opscheck import Severity
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.demo.kubernetes import timestamp
from opscheck.systems.kubernetes.certificates import ListTlsSecrets
from tests.checks.kubernetes.judging_certificates import (
    NOW,
    a_certificate,
    a_secret,
    ago,
    commands,
    judged,
    not_issued,
    observed,
    pem,
)


def stored(*objects, secrets=(), **fields):
    return judged(*objects, secrets=secrets, tls_secrets=True, **fields)


def only(*objects, **fields):
    """The one finding."""
    (violation,) = stored(*objects, **fields).violations
    return violation


def test_stored_certificate_equal_to_the_status_passes():
    assert [] == observed(stored(a_certificate(), secrets=[a_secret("api-tls", pem())]))


def test_a_secret_with_another_certificate_than_was_issued_is_told():
    finding = only(a_certificate(), secrets=[a_secret("api-tls", pem(start=-80, end=10))])

    assert ("api-tls", Severity.P1) == (finding.subject, finding.severity)
    assert (
        "not the certificate that was issued for api: it ends in 10d (11.11% of its lifetime left), "
        "on 2026-03-20 12:00 UTC" == finding.observed
    )
    assert "the issued certificate, valid until 2026-05-19 12:00 UTC" == finding.expected
    assert "it is api.example.com, serial 1267, issued by CN=api.example.com" == finding.evidence[0]


def test_one_that_was_issued_a_moment_ago_may_be_ahead_of_the_status():
    """And Let's Encrypt dates back by an hour."""
    assert [] == observed(stored(a_certificate(), secrets=[a_secret("api-tls", pem(start=-1.1 / 24, end=90))]))
    assert 1 == len(observed(stored(a_certificate(), secrets=[a_secret("api-tls", pem(start=-2.1 / 24, end=90))])))


def test_another_one_that_begins_much_later_was_not_issued_a_moment_ago():
    assert 1 == len(observed(stored(a_certificate(), secrets=[a_secret("api-tls", pem(start=30, end=120))])))


def test_a_secret_that_is_empty_or_holds_no_certificate_is_told():
    finding = only(a_certificate(), secrets=[a_secret("api-tls", unreadable="tls.crt is empty")])

    assert ("api-tls", "tls.crt is empty", "a certificate") == (finding.subject, finding.observed, finding.expected)


def test_a_certificate_whose_secret_is_not_there_is_unknown():
    with pytest.raises(CouldNotObserve, match=r"found for api \(api-tls\)"):
        stored(a_certificate())


@pytest.mark.parametrize("objects", [[a_certificate()], []], ids=["kept", "nobody's"])
def test_a_key_of_unknown_kind_is_unknown(objects):
    """Whether it is strong enough is not known."""
    secret = a_secret("api-tls", pem())
    odd = msgspec.structs.replace(secret, certificates=(msgspec.structs.replace(secret.certificates[0], key=""),))

    with pytest.raises(CouldNotObserve, match="the certificate in secret api-tls has a key of unknown kind"):
        stored(*objects, secrets=[odd], min_matches=0)


def test_one_that_is_not_issued_yet_needs_no_secret():
    assert [] == observed(stored(not_issued(created=ago(minutes=1))))


def test_a_secret_that_nobody_keeps_is_judged_by_itself():
    finding = only(min_matches=0, secrets=[a_secret("by-hand", pem(start=-80, end=10))])

    assert ("by-hand", Severity.P1) == (finding.subject, finding.severity)
    assert "ends in 10d (11.11% of its lifetime left), on 2026-03-20 12:00 UTC" == finding.observed
    assert (">= 12.5% of its lifetime left", "by-hand") == (finding.expected, finding.facts["secret"])


def test_a_secret_that_nobody_keeps_and_that_holds_no_certificate_is_told():
    finding = only(min_matches=0, secrets=[a_secret("by-hand", unreadable="tls.crt is empty")])

    assert ("by-hand", "tls.crt is empty") == (finding.subject, finding.observed)


def test_secret_before_the_first_issuance_is_judged_as_certificate():
    young = not_issued(created=ago(minutes=1))

    assert [] == observed(stored(young, secrets=[a_secret("api-tls", pem(end=-1))]))


def test_a_secret_that_nobody_keeps_is_held_to_what_signed_it_too():
    texts = pem("leaf.example.com", issuer="middle"), pem("middle", start=-100, end=-1, issuer="root")
    finding = only(min_matches=0, secrets=[a_secret("by-hand", *texts)])

    assert finding.observed.startswith("ended 1d ago")
    assert Severity.P0 == finding.severity
    assert "its weakest link is middle, which signs it" == finding.evidence[-1]


def test_the_secret_of_a_certificate_that_was_not_selected_is_left_alone():
    other = a_certificate("web")

    assert [] == observed(
        stored(
            a_certificate(), other, name="api*", secrets=[a_secret("api-tls", pem()), a_secret("web-tls", pem(end=1))]
        )
    )


def test_a_secret_whose_certificate_is_gone_is_judged_by_itself():
    left = a_secret("old-tls", pem(end=-1))

    assert ["old-tls"] == [one.subject for one in stored(min_matches=0, secrets=[left]).violations]


def test_one_that_is_not_valid_yet_hints_at_the_clock():
    finding = only(min_matches=0, secrets=[a_secret("by-hand", pem(start=1, end=90))])

    assert "not valid before 2026-03-11 12:00 UTC, in 1d" == finding.observed


def test_a_weak_key_is_told_at_its_own_severity():
    finding = only(a_certificate(), secrets=[a_secret("api-tls", pem(bits=192))], weak="P3")

    assert (Severity.P3, "api.example.com: EC key of 192 bits", ">= 256 bits") == (
        finding.severity,
        finding.observed,
        finding.expected,
    )


def test_a_secret_that_goes_is_left_alone():
    going = a_secret("by-hand", pem(end=-1))
    goes = a_secret(
        "by-hand",
        certificates=going.certificates,
        metadata={"name": "by-hand", "namespace": "default", "deletionTimestamp": timestamp(NOW)},
    )

    assert [] == observed(stored(min_matches=0, secrets=[goes]))


def test_secrets_that_may_not_be_listed_are_unknown_and_what_was_found_stands():
    denied = {ListTlsSecrets: Problem(kind=ProblemKind.DENIED, text="may not list secrets")}

    with pytest.raises(CouldNotObserve, match="may not list secrets"):
        stored(a_certificate(age=95), missing=denied)


def test_a_stored_certificate_is_told_with_what_shows_its_public_part_alone():
    typed = commands(stored(min_matches=0, secrets=[a_secret("by-hand", pem(end=-1))]))

    assert [
        "kubectl -n default get secret by-hand -o 'jsonpath={.data.tls\\.crt}' | base64 -d | openssl x509 -noout -text"
    ] == typed
