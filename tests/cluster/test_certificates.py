"""cert-manager's objects on a real API server, by its own published definitions: every state, judged as in a run."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import trustme
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from checks.kubernetes.test_certificates import test_the_certificates_are_renewed as check
from opscheck import Findings, KubernetesTarget, Severity
from opscheck.core.observation import CouldNotObserve, ProbeError, ProblemKind
from opscheck.demo.kubernetes import (
    certificate,
    certificate_request,
    challenge,
    condition,
    issuer,
    issuing,
    order,
    ready,
    timestamp,
    tls_secret,
    unissued,
)
from opscheck.systems.kubernetes.certificates import CertificatesRenewed, ListTlsSecrets
from opscheck.systems.kubernetes.permissions import render
from opscheck.systems.kubernetes.probe import KubernetesSession, open_session
from opscheck.testing import expect, judge
from tests.cluster.crds import CERT_MANAGER
from tests.cluster.manifests import made, namespace

Object = dict[str, Any]

SPACE = "certificates"
DAY = timedelta(days=1)


def ago(**span: float) -> datetime:
    """So long before now."""
    return datetime.now(UTC) - timedelta(**span)


@pytest.fixture(name="api", scope="module")
def _api(cluster, serve):
    serve(CERT_MANAGER)
    cluster.api.apply(namespace(SPACE), issuer())
    return cluster.api


@pytest.fixture(name="session", scope="module")
def _session(cluster, api) -> Iterator[KubernetesSession]:
    session = open_session(target_of(cluster), 20)
    yield session
    session.close()


def target_of(cluster, token: str | None = None) -> KubernetesTarget:
    return KubernetesTarget(kind="kubernetes", namespace=SPACE, kubeconfig=str(cluster.kubeconfig(token=token)))


@pytest.fixture(name="judged")
def _judged(api, session) -> Iterator[Callable[..., Findings]]:
    """Make these objects, judge them through the probe, and take them away again."""
    made_here: list[Object] = []

    def judged(*objects: Object, **fields: Any) -> Findings:
        api.apply(*objects)
        made_here.extend(objects)
        asked = expectation(**fields)
        return judge(check, asked, lambda query: answer(session, query), datetime.now(UTC))

    yield judged
    for one in made_here:
        api.delete(one)


def expectation(**fields: Any) -> CertificatesRenewed:
    given = {"severity": "P2", "namespace": SPACE, "grace": "0s"} | fields
    return expect(CertificatesRenewed, KubernetesTarget(kind="kubernetes", namespace=SPACE), **given)


def answer(session, query):
    try:
        return session.ask(query, 20)
    except ProbeError as error:
        return error.problem


def told(findings: Findings) -> list[tuple[str, Severity]]:
    return [(one.observed.partition(",")[0], one.severity) for one in findings.violations]


STATES = {
    "valid": ([], lambda: certificate("one", SPACE)),
    "being renewed": (
        [],
        lambda: certificate("one", SPACE, issued=ago(days=60.01), conditions=(ready(ago(days=60)), issuing(ago()))),
    ),
    "ended, and still called ready": (
        [("ended 5d", Severity.P0)],
        lambda: certificate("one", SPACE, issued=ago(days=95)),
    ),
    "overdue": (
        [("ends in 25d", Severity.P2)],
        lambda: certificate("one", SPACE, issued=ago(days=64.9999)),
    ),
    "overdue, and near its end": (
        [("ends in 6d", Severity.P1)],
        lambda: certificate("one", SPACE, issued=ago(days=83.9999)),
    ),
    "never renewed, and near its end": (
        [("ends in 20d", Severity.P3)],
        lambda: certificate("one", SPACE, issued=ago(days=69.9999), renewed=False),
    ),
    "not valid yet": (
        [("not valid before", Severity.P2)],
        lambda: certificate("one", SPACE, issued=ago(days=-1)),
    ),
    "not issued": ([("not issued for", Severity.P2)], lambda: unissued("one", SPACE, created=ago(hours=1))),
    "failed": (
        [("not issued for", Severity.P2)],
        lambda: unissued(
            "one", SPACE, created=ago(hours=1), lastFailureTime=timestamp(ago(minutes=5)), failedIssuanceAttempts=2
        ),
    ),
    "not ready": (
        [("not ready for 1h", Severity.P2)],
        lambda: certificate(
            "one", SPACE, issued=ago(days=19.9999), conditions=(ready(ago(hours=1), False, "IncorrectIssuer"),)
        ),
    ),
    "never looked at": (
        [("not issued for", Severity.P2)],
        lambda: certificate(
            "one", SPACE, conditions=(), notBefore=None, notAfter=None, renewalTime=None, revision=None
        ),
    ),
}


@pytest.mark.parametrize("state", STATES)
def test_every_state_is_reported(judged, state):
    expected, builder = STATES[state]

    found = told(judged(builder()))

    assert [severity for _, severity in expected] == [severity for _, severity in found]
    assert all(observed.startswith(text) for (text, _), (observed, _) in zip(expected, found, strict=True))


def test_failed_issuance_is_reported_down_to_the_challenge(judged):
    approved = (
        condition("Approved", True, ago()),
        condition("Ready", False, ago(), "Pending", "Waiting for the order"),
    )
    (finding,) = judged(
        unissued("one", SPACE, created=ago(hours=1)),
        certificate_request("one-1", SPACE, of="one", conditions=approved),
        order("one-1-2", SPACE, of="one-1"),
        challenge("one-1-2-3", SPACE, of="one-1-2", host="one.example.com", reason="got status 404"),
    ).violations

    assert (
        "certificate request one-1 is not ready (Pending): Waiting for the order",
        "order one-1-2 is pending",
        "challenge one-1-2-3 for one.example.com (HTTP-01) is pending: got status 404",
    ) == finding.evidence[-3:]


def test_issuer_that_is_not_ready_is_reported(judged):
    wrong = condition("Ready", False, ago(), "ErrRegisterACMEAccount", "no such host")
    (finding,) = judged(
        unissued("one", SPACE, created=ago(hours=1), issuer="acme", issuer_kind="Issuer"), issuer("acme", SPACE, wrong)
    ).violations

    assert "issuer acme is not ready (ErrRegisterACMEAccount): no such host" == finding.evidence[-1]


def test_changed_spec_not_yet_observed_is_unknown(api, judged):
    one = certificate("one", SPACE)
    assert [] == told(judged(one))
    api.patch(one, {"spec": {"dnsNames": ["other.example.com"]}})

    with pytest.raises(CouldNotObserve, match="has not processed the changed spec of one"):
        judged()


@pytest.fixture(name="pair", scope="module")
def _pair() -> tuple[bytes, bytes]:
    """A certificate of an authority, and its key."""
    issued = trustme.CA().issue_cert("one.example.com")
    return b"".join(pem.bytes() for pem in issued.cert_chain_pems), issued.private_key_pem.bytes()


def test_only_the_public_part_of_a_tls_secret_is_read(api, session, judged, pair):
    pem, key = pair
    hidden = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    judged(tls_secret("by-hand", SPACE, pem=hidden + pem, key=key), min_matches=0)  # a key where none belongs, too
    (secret,) = session.ask(ListTlsSecrets("target", SPACE), 20).items

    assert ("one.example.com",) == secret.certificates[0].names
    answered = msgspec.json.encode(secret)
    for line in (*key.splitlines(), *hidden.splitlines()):
        assert line not in answered
    assert b"PRIVATE" not in answered


def test_secret_with_another_certificate_is_reported(judged, pair):
    pem, key = pair
    findings = judged(
        certificate("one", SPACE), tls_secret("one-tls", SPACE, pem=pem, key=key, of="one"), tls_secrets=True
    )

    assert ["one-tls"] == [one.subject for one in findings.violations]
    assert findings.violations[0].observed.startswith("not the certificate that was issued for one: it ends in")


def test_printed_permissions_allow_every_query(cluster, api, programs):
    asked = expectation(tls_secrets=True)
    printed = render(asked.target, [rule for query in asked.described() for rule in query.permissions()])
    api.apply(*yaml.safe_load_all(printed))
    session = open_session(target_of(cluster, api.token("opscheck", SPACE)), 20)

    try:
        kinds = [answer(session, query) for query in asked.described()]
    finally:
        session.close()

    assert 9 == len(kinds)
    assert [] == [one for one in kinds if getattr(one, "kind", None) in set(ProblemKind)]
    assert "# list secrets: it allows to read every secret there, with keys and passwords" in printed


def test_fixtures_are_valid_by_the_definitions(api):
    """The server drops what a definition does not know: what is asked for here is what is stored."""
    one = certificate("whole", SPACE)
    api.apply(one)
    stored = api.get(one)
    api.delete(one)

    assert one["spec"] == stored["spec"]
    assert json.dumps(one["status"], sort_keys=True) == json.dumps(stored["status"], sort_keys=True)
    assert made("Certificate", "whole", SPACE)["metadata"].items() <= stored["metadata"].items()
