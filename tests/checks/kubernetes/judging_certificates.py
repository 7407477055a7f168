"""cert-manager's objects and TLS secrets as a cluster reports them at one moment, and what the check says then."""

from datetime import UTC, datetime, timedelta
from functools import cache

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from checks.kubernetes.test_certificates import test_the_certificates_are_renewed as check
from opscheck import Findings, KubernetesTarget
from opscheck.demo.kubernetes import certificate, unissued
from opscheck.systems.kubernetes.certificates import (
    Certificate,
    CertificateRequest,
    CertificatesRenewed,
    Challenge,
    ClusterIssuer,
    Issuer,
    ListCertificateRequests,
    ListCertificates,
    ListChallenges,
    ListClusterIssuers,
    ListIssuers,
    ListOrders,
    ListTlsSecrets,
    Order,
    Secret,
)
from opscheck.systems.kubernetes.events import Event, ListWarnings
from opscheck.systems.kubernetes.lists import ObjectList
from opscheck.systems.tls.probe.parsing import certificates_in_pem
from opscheck.testing import expect, judge
from tests.checks.kubernetes.rendering import rendered

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
TARGET = KubernetesTarget(kind="kubernetes", namespace="default")
DAY = timedelta(days=1)
KINDS = {
    "Certificate": (Certificate, ListCertificates),
    "CertificateRequest": (CertificateRequest, ListCertificateRequests),
    "Order": (Order, ListOrders),
    "Challenge": (Challenge, ListChallenges),
    "Issuer": (Issuer, ListIssuers),
    "ClusterIssuer": (ClusterIssuer, ListClusterIssuers),
    "Event": (Event, ListWarnings),
}


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def a_certificate(name="api", *, age: float = 20, **fields):
    """One of ninety days that was issued so many days ago."""
    return certificate(name, **{"issued": ago(days=age)} | fields)


def not_issued(name="api", **fields):
    return unissued(name, **{"created": ago(hours=1)} | fields)


@cache
def pem(name="api.example.com", *, start: float = -20, end: float = 70, bits: int = 256, issuer: str = "") -> bytes:
    """A certificate that is valid from and until so many days after now."""
    key = ec.generate_private_key(ec.SECP256R1() if bits == 256 else ec.SECP192R1())
    subject, signer = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in (name, issuer or name))
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer)
        .public_key(key.public_key())
        .serial_number(4711)
        .not_valid_before(NOW + timedelta(days=start))
        .not_valid_after(NOW + timedelta(days=end))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def a_secret(name="api-tls", *texts: bytes, **fields) -> Secret:
    """As the probe answers it."""
    found = certificates_in_pem(b"".join(texts)) if texts else ()
    return Secret(
        **{"metadata": {"name": name, "namespace": "default"}, "certificates": found} | fields,
    )


def _answers(expectation, objects, secrets):
    answers = {query: [] for _, kind in KINDS.values() for query in _asked(expectation, kind)}
    for one in objects:
        kind, listing = KINDS[one["kind"]]
        for query in _asked(expectation, listing):
            if query.namespace in {None, one["metadata"].get("namespace")}:
                answers[query].append(msgspec.convert(one, kind))
    for query in expectation.lists(ListTlsSecrets):
        answers[query] = [msgspec.convert(msgspec.to_builtins(one), Secret) for one in secrets]
    return {query: ObjectList(tuple(items)) for query, items in answers.items()}


def _asked(expectation, kind):
    return expectation.lists(kind) if kind.namespaced else (kind("target"),)


def expectation_of(target=TARGET, **fields) -> CertificatesRenewed:
    return expect(CertificatesRenewed, target, **{"severity": "P2"} | fields)


def judged(*objects, secrets=(), now=NOW, target=TARGET, missing=None, **fields) -> Findings:
    """The findings; `missing` are problems in place of lists, by the kind of list."""
    expectation = expectation_of(target, **fields)
    answers = _answers(expectation, objects, secrets)
    for kind, problem in (missing or {}).items():
        answers |= dict.fromkeys(_asked(expectation, kind), problem)
    return judge(check, expectation, answers, now)


def observed(findings: Findings) -> list[str]:
    return [violation.observed for violation in findings.violations]


def commands(findings: Findings, target=TARGET) -> list[str]:
    return rendered(expectation_of(target), findings)
