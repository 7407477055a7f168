"""cert-manager's certificates and their issuers, the public part of TLS secrets, and the expectation."""

from collections.abc import Iterable
from typing import Any, final

from pydantic import Field

from opscheck.core.query import Query, Timestamp
from opscheck.core.remedy import Former, Remedy
from opscheck.core.units import Duration
from opscheck.systems.kubernetes.lists import ListObjects
from opscheck.systems.kubernetes.objects import Condition, KubernetesObject, Part
from opscheck.systems.kubernetes.scope import OfKind, kubectl, missing_remedy
from opscheck.systems.tls.lifetime import CertificatesLast, DurationLeft, Lifetime, ShareLeft, share_unless_time
from opscheck.systems.tls.x509 import Certificate as PublicCertificate

GROUP = "cert-manager.io"


@final
class IssuerReference(Part, frozen=True):
    name: str | None = None
    kind: str | None = None
    """`Issuer` by default."""
    group: str | None = None
    """cert-manager's own by default; external issuers have other groups."""


@final
class CertificateSpec(Part, frozen=True):
    secret_name: str | None = None
    """The secret with the certificate and its key."""
    issuer_ref: IssuerReference | None = None


@final
class CertificateCondition(Part, frozen=True):
    """`Ready` or `Issuing`. It is written on events, not when time passes."""

    type: str | None = None
    status: str | None = None
    reason: str | None = None
    message: str | None = None
    last_transition_time: Timestamp | None = None
    observed_generation: int | None = None
    """The generation of the spec that it describes."""


@final
class CertificateStatus(Part, frozen=True):
    conditions: tuple[CertificateCondition, ...] | None = None
    not_before: Timestamp | None = None
    not_after: Timestamp | None = None
    """The expiry of the certificate in the secret; null until one is issued."""
    renewal_time: Timestamp | None = None
    """The planned renewal; null without one."""
    last_failure_time: Timestamp | None = None
    """The time of the last failed issuance; null after a success."""
    failed_issuance_attempts: int | None = None
    """Number of consecutive failures."""


@final
class Certificate(KubernetesObject, frozen=True):
    """A certificate that cert-manager manages."""

    spec: CertificateSpec | None = None
    status: CertificateStatus | None = None

    @property
    def reported(self) -> CertificateStatus:
        """Its status; empty before cert-manager has written one."""
        return self.status or CertificateStatus()

    @property
    def lifetime(self) -> Lifetime | None:
        """The lifetime of the certificate in its secret; None before the first issuance."""
        return Lifetime(self.reported.not_before, self.reported.not_after) if self.reported.not_after else None

    @property
    def secret_name(self) -> str:
        """The secret that holds it."""
        return (self.spec and self.spec.secret_name) or ""

    @property
    def place(self) -> tuple[str, str]:
        """Namespace and name of that secret."""
        return self.namespace, self.secret_name

    @property
    def is_stale(self) -> bool:
        """True when cert-manager has not processed the current spec."""
        ready, generation = self.condition("Ready"), self.metadata and self.metadata.generation
        return bool(ready and ready.observed_generation and generation and ready.observed_generation < generation)

    def condition(self, kind: str) -> CertificateCondition | None:
        """The condition of that type."""
        return next((one for one in self.reported.conditions or () if one.type == kind), None)


@final
class ConditionsOnly(Part, frozen=True):
    conditions: tuple[Condition, ...] | None = None


@final
class CertificateRequest(KubernetesObject, frozen=True):
    """One issuance of a certificate."""

    status: ConditionsOnly | None = None


@final
class AcmeStatus(Part, frozen=True):
    """The progress of an order or a challenge."""

    state: str | None = None
    """valid, ready, pending, processing, invalid, expired or errored; empty at first."""
    reason: str | None = None
    """The reason for that state, from the ACME server or cert-manager."""


@final
class Order(KubernetesObject, frozen=True):
    """The request to an ACME server for one certificate request."""

    status: AcmeStatus | None = None


@final
class ChallengeSpec(Part, frozen=True):
    """The name to be proven. The token and the key are not read."""

    dns_name: str | None = None
    type: str | None = None
    """HTTP-01 or DNS-01."""


@final
class Challenge(KubernetesObject, frozen=True):
    """The proof of ownership that an ACME server requires. It is deleted after success."""

    spec: ChallengeSpec | None = None
    status: AcmeStatus | None = None


@final
class Issuer(KubernetesObject, frozen=True):
    status: ConditionsOnly | None = None


@final
class ClusterIssuer(KubernetesObject, frozen=True):
    status: ConditionsOnly | None = None


@final
class Secret(KubernetesObject, frozen=True):
    """The public part of a secret of type `kubernetes.io/tls`; its key is never decoded."""

    certificates: tuple[PublicCertificate, ...] = ()
    """The content of `tls.crt`: the certificate, and usually its chain."""
    unreadable: str = ""
    """The reason why `tls.crt` cannot be read; empty when it can."""


class ListCertificates(ListObjects[Certificate], name="kubernetes.certificates", resource=f"certificates.v1.{GROUP}"):
    """Lists cert-manager's certificates."""


class ListCertificateRequests(
    ListObjects[CertificateRequest], name="kubernetes.certificaterequests", resource=f"certificaterequests.v1.{GROUP}"
):
    """Lists certificate requests."""

    called = "certificate requests"


class ListOrders(ListObjects[Order], name="kubernetes.orders", resource=f"orders.v1.acme.{GROUP}"):
    """Lists ACME orders."""


class ListChallenges(ListObjects[Challenge], name="kubernetes.challenges", resource=f"challenges.v1.acme.{GROUP}"):
    """Lists open ACME challenges."""


class ListIssuers(ListObjects[Issuer], name="kubernetes.issuers", resource=f"issuers.v1.{GROUP}"):
    """Lists issuers."""


class ListClusterIssuers(
    ListObjects[ClusterIssuer], name="kubernetes.clusterissuers", resource=f"clusterissuers.v1.{GROUP}"
):
    """Lists the cluster issuers."""

    called = "cluster issuers"
    namespaced = False


class ListTlsSecrets(ListObjects[Secret], name="kubernetes.tls_secrets", resource="secrets"):
    """Lists the certificates in TLS secrets. The server sends the keys too; they are never decoded."""

    called = "the certificates in TLS secrets"
    field_selector = "type=kubernetes.io/tls"


_ISSUE = "Find the failed request, order, challenge or issuer, fix it, then renew the certificate"
CERTIFICATE = kubectl(_ISSUE, "describe certificate {{ certificate }}")
CAUSES = {
    "request": kubectl(_ISSUE, "describe certificaterequest {{ request }}"),
    "order": kubectl(_ISSUE, "describe order {{ order }}"),
    "challenge": kubectl(_ISSUE, "describe challenge {{ challenge }}"),
    "issuer": kubectl(_ISSUE, "describe issuer {{ issuer }}"),
    "cluster_issuer": kubectl(_ISSUE, "describe clusterissuer {{ cluster_issuer }}"),
}
"""Remedies for the objects that a certificate is issued through, by the fact that names the object."""
RENEW = Remedy(
    _ISSUE,
    "cmctl {{ context_option }} -n {{ namespace }} renew {{ certificate }}  # after the cause is fixed",
)
NOT_PROCESSED = kubectl(
    "Check that cert-manager runs",
    "get certificate {{ certificate }}; kubectl {{ context_option }} get pods -A"
    " -l app.kubernetes.io/instance=cert-manager",
)
SECRET = kubectl(
    "Inspect the certificate in the secret, and replace it",
    "get secret {{ secret }} -o 'jsonpath={.data.tls\\.crt}' | base64 -d | openssl x509 -noout -text",
)
MISSING = missing_remedy("certificates")


class CertificatesRenewed(OfKind, CertificatesLast, check="kubernetes.certificates"):
    """
    Every selected cert-manager certificate exists, is valid, and is renewed on time.

    The times in its status decide: cert-manager does not process an expired certificate again, and leaves `Ready=True`
    behind. An issuance in progress is not a violation while the previous certificate is valid.
    """

    remedies = (CERTIFICATE, *CAUSES.values(), NOT_PROCESSED, SECRET, RENEW, MISSING)
    fact_names = OfKind.fact_names | {
        "certificate": "the name of cert-manager's certificate",
        "request": "the certificate request that does not succeed",
        "order": "the ACME order that does not succeed",
        "challenge": "the pending or failed ACME challenge",
        "issuer": "the issuer that is not ready or does not exist",
        "cluster_issuer": "the cluster issuer that is not ready or does not exist",
        "secret": "the TLS secret",
    }
    former_fact_names = OfKind.former_fact_names | {
        "due": Former("certificate", RENEW),
        "unseen": Former("certificate", NOT_PROCESSED),
    }

    remaining: DurationLeft | None = None
    """Minimum remaining validity, such as `{P1: 7d, P0: 1d}`, whether a renewal is planned or not."""
    remaining_share: ShareLeft | None = Field(default_factory=share_unless_time)
    """
    Minimum remaining share of the lifetime.

    Without this and `remaining`, the default `{P3: 25%, P1: 12.5%, P0: 0%}` grades certificates whose renewal is
    overdue or not planned. A certificate whose renewal is still to come is then not graded: some issuers renew in the
    last tenth of the lifetime.
    """
    renewal_grace: Duration = Duration.parse("2h")
    """Maximum delay of a renewal. A failed attempt is repeated after an hour, then at growing intervals."""
    grace: Duration = Duration.parse("15m")
    """Maximum duration of the first issuance, and of `Ready=False`. A failed issuance has no grace period."""
    tls_secrets: bool = False
    """
    Judge the content of TLS secrets too. Those of certificates are compared with cert-manager's status; all others are
    judged by themselves.

    Only `tls.crt` is decoded. But Kubernetes has no such permission: a client that may list secrets may read them.
    Therefore the default is off. `tls.certificate` judges the served certificate, and needs no permission.
    """

    def secrets(self) -> tuple[ListTlsSecrets, ...]:
        """The lists of TLS secrets, if the policy has them judged."""
        return self.lists(ListTlsSecrets) if self.tls_secrets else ()

    def queries(self) -> Iterable[Query[Any]]:
        """The certificates, and the TLS secrets if the policy has them judged."""
        return *self.lists(ListCertificates), *self.secrets()

    def evidence_queries(self) -> Iterable[Query[Any]]:
        """The objects that each is issued through: requests, orders, challenges, issuers."""
        yield from super().evidence_queries()
        yield from self.lists(ListCertificateRequests, ListOrders, ListChallenges, ListIssuers)
        yield ListClusterIssuers(self.target.name)
