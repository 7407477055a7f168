"""cert-manager's objects and TLS secrets, asked of an API server; of a secret nothing but its public part is known."""

from datetime import UTC, datetime

import msgspec
import pytest
import trustme

from checks.kubernetes.test_certificates import test_the_certificates_are_renewed as check
from opscheck import KubernetesTarget
from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.demo.cluster import NAMESPACE, build
from opscheck.demo.kubernetes import KubernetesApi, secret, tls_secret
from opscheck.systems.kubernetes.certificates import (
    CertificatesRenewed,
    ListCertificates,
    ListOrders,
    ListTlsSecrets,
    Secret,
)
from opscheck.systems.kubernetes.probe import open_session
from opscheck.systems.kubernetes.probe.tls_secrets import PublicData
from opscheck.testing import expect, judge

SECRETS = ListTlsSecrets("cluster", "shop")


@pytest.fixture(name="pair", scope="module")
def _pair() -> tuple[bytes, bytes]:
    """A certificate with what signed it, and its key."""
    issued = trustme.CA().issue_cert("shop.example.com")
    return b"".join(pem.bytes() for pem in issued.cert_chain_pems), issued.private_key_pem.bytes()


def only(session) -> Secret:
    (found,) = session.ask(SECRETS, 5).items
    return found


def test_secret_answer_has_its_certificates_but_no_key(world, session, pair):
    pem, key = pair
    world.add(tls_secret("shop-tls", "shop", pem=key + pem, key=key, of="shop"))  # a key where none belongs, too
    found = only(session)

    assert (("shop.example.com",), "shop", "") == (found.certificates[0].names, found.annotations.certificate_name, "")
    answered = msgspec.json.encode(found)
    assert b"PRIVATE" not in answered
    assert not any(line in answered for line in key.splitlines())


def test_nothing_but_the_certificate_is_ever_decoded_of_a_secret():
    assert {"certificate": "tls.crt"} == {one.name: one.encode_name for one in msgspec.structs.fields(PublicData)}


@pytest.mark.parametrize(
    ("unreadable", "spoil"),
    [
        ("tls.crt is empty", lambda pem: b""),
        ("tls.crt is not a complete certificate in PEM", lambda pem: pem[:200]),
        ("tls.crt is not a complete certificate in PEM", lambda pem: pem + pem[:200]),
        ("tls.crt is not a complete certificate in PEM", lambda pem: b"\xff\xfe"),
        ("tls.crt is not a complete certificate in PEM", lambda pem: pem.replace(b"MII", b"AAA")),
    ],
    ids=["empty", "part", "second part", "bytes", "damaged"],
)
def test_invalid_certificate_is_reported_without_its_content(world, session, pair, unreadable, spoil):
    world.add(tls_secret("shop-tls", "shop", pem=spoil(pair[0])))

    assert ((), unreadable) == (only(session).certificates, only(session).unreadable)


@pytest.mark.parametrize("data", [None, {}, {"tls.key": "cGxhbnRlZA=="}, {"tls.crt": None}, {"tls.crt": "no base64!"}])
def test_secrets_of_any_shape_are_answered(world, session, data):
    odd = tls_secret("shop-tls", "shop", pem=b"")
    odd["data"] = data
    world.add(odd)

    assert only(session).unreadable


def test_secrets_of_other_types_are_not_even_sent(world, session, api):
    world.add(secret("password", "shop") | {"type": "Opaque"})

    assert () == session.ask(SECRETS, 5).items
    assert "type=kubernetes.io/tls" == api.requests[-1].query["fieldSelector"]


def test_acme_kinds_are_absent_in_a_cluster_without_acme(world, session):
    world.withdraw("acme.cert-manager.io")

    assert () == session.ask(ListCertificates("cluster", "shop"), 5).items
    with pytest.raises(ProbeError) as caught:
        session.ask(ListOrders("cluster", "shop"), 5)
    assert ProblemKind.ABSENT == caught.value.problem.kind


def test_denied_list_of_secrets_names_the_missing_rule(session, api):
    api.deny("secrets")

    with pytest.raises(ProbeError) as caught:
        session.ask(SECRETS, 5)
    assert ProblemKind.DENIED == caught.value.problem.kind
    assert 'resources: ["secrets"], verbs: ["list"]' in caught.value.problem.advice


def test_the_demos_certificate_is_well(tmp_path):
    target = KubernetesTarget(kind="kubernetes", namespace=NAMESPACE)
    expectation = expect(CertificatesRenewed, target, severity="P2")
    with KubernetesApi(build()) as api:
        found = KubernetesTarget(kind="kubernetes", kubeconfig=str(api.kubeconfig(tmp_path / "config")))
        session = open_session(found, 5)
        findings = judge(check, expectation, lambda query: session.ask(query, 5), datetime.now(UTC))
        session.close()

    assert [] == findings.violations
    assert ("certificates", 1) == (findings.measurements[0].name, findings.measurements[0].value)
