"""cert-manager's certificates and their issuers, the public part of TLS secrets, and what a policy expects of them."""

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
    """`Issuer` where nothing is said."""
    group: str | None = None
    """cert-manager's own where nothing is said; issuers of others have groups of their own."""


@final
class CertificateSpec(Part, frozen=True):
    secret_name: str | None = None
    """Where it is kept, with its key."""
    issuer_ref: IssuerReference | None = None


@final
class CertificateCondition(Part, frozen=True):
    """`Ready` or `Issuing`. It is written when something happens, and not when time has passed."""

    type: str | None = None
    status: str | None = None
    reason: str | None = None
    message: str | None = None
    last_transition_time: Timestamp | None = None
    observed_generation: int | None = None
    """Of which state of the spec it speaks."""


@final
class CertificateStatus(Part, frozen=True):
    conditions: tuple[CertificateCondition, ...] | None = None
    not_before: Timestamp | None = None
    not_after: Timestamp | None = None
    """When the certificate in the secret ends; null until there is one."""
    renewal_time: Timestamp | None = None
    """When it will be renewed; null where no renewal is planned."""
    last_failure_time: Timestamp | None = None
    """When the newest issuance failed; null once one has succeeded."""
    failed_issuance_attempts: int | None = None
    """How many have failed one after the other."""


@final
class Certificate(KubernetesObject, frozen=True):
    """A certificate that cert-manager keeps."""

    spec: CertificateSpec | None = None
    status: CertificateStatus | None = None

    @property
    def reported(self) -> CertificateStatus:
        """Its status; an empty one where cert-manager has written none."""
        return self.status or CertificateStatus()

    @property
    def lifetime(self) -> Lifetime | None:
        """The lifetime of the certificate in its secret; None where none is issued."""
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
        """True when cert-manager has not processed its spec as it is now."""
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
    """How far an order or a challenge has come."""

    state: str | None = None
    """valid, ready, pending, processing, invalid, expired or errored; empty at first."""
    reason: str | None = None
    """Why it is in that state, as the ACME server or cert-manager says it."""


@final
class Order(KubernetesObject, frozen=True):
    """What an ACME server was asked for a certificate request."""

    status: AcmeStatus | None = None


@final
class ChallengeSpec(Part, frozen=True):
    """What is to be proven. Its token and its key are not read."""

    dns_name: str | None = None
    type: str | None = None
    """HTTP-01 or DNS-01."""


@final
class Challenge(KubernetesObject, frozen=True):
    """How an ACME server wants proven that a name is ours. Gone once that has succeeded."""

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
    """What stands in `tls.crt`: the certificate, and mostly what signed it."""
    unreadable: str = ""
    """Why nothing can be made of `tls.crt`; empty where something can."""


class ListCertificates(ListObjects[Certificate], name="kubernetes.certificates", resource=f"certificates.v1.{GROUP}"):
    """Every certificate of cert-manager there."""


class ListCertificateRequests(
    ListObjects[CertificateRequest], name="kubernetes.certificaterequests", resource=f"certificaterequests.v1.{GROUP}"
):
    """Every certificate request there."""

    called = "certificate requests"


class ListOrders(ListObjects[Order], name="kubernetes.orders", resource=f"orders.v1.acme.{GROUP}"):
    """Every ACME order there."""


class ListChallenges(ListObjects[Challenge], name="kubernetes.challenges", resource=f"challenges.v1.acme.{GROUP}"):
    """Every ACME challenge there that is not settled."""


class ListIssuers(ListObjects[Issuer], name="kubernetes.issuers", resource=f"issuers.v1.{GROUP}"):
    """Every issuer there."""


class ListClusterIssuers(
    ListObjects[ClusterIssuer], name="kubernetes.clusterissuers", resource=f"clusterissuers.v1.{GROUP}"
):
    """Every issuer of the cluster."""

    called = "cluster issuers"
    namespaced = False


class ListTlsSecrets(ListObjects[Secret], name="kubernetes.tls_secrets", resource="secrets"):
    """The certificates in the TLS secrets there. The server sends the keys too; they are never decoded."""

    called = "the certificates in TLS secrets"
    field_selector = "type=kubernetes.io/tls"


_ISSUE = "See which of request, order, challenge or issuer fails, fix that, then have it issued again"
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
    "cmctl {{ context_option }} -n {{ namespace }} renew {{ certificate }}  # once the cause is mended",
)
NOT_PROCESSED = kubectl(
    "See whether cert-manager runs",
    "get certificate {{ certificate }}; kubectl {{ context_option }} get pods -A"
    " -l app.kubernetes.io/instance=cert-manager",
)
SECRET = kubectl(
    "See which certificate is stored in the secret, and replace it",
    "get secret {{ secret }} -o 'jsonpath={.data.tls\\.crt}' | base64 -d | openssl x509 -noout -text",
)
MISSING = missing_remedy("certificates")


class CertificatesRenewed(OfKind, CertificatesLast, check="kubernetes.certificates"):
    """
    Every selected cert-manager certificate exists, is valid, and is renewed on time.

    That is judged by the times in its status: cert-manager does not look at a certificate again when it ends, and
    leaves `Ready=True` behind. An issuance that is on its way is no trouble while the certificate before it is valid.
    """

    remedies = (CERTIFICATE, *CAUSES.values(), NOT_PROCESSED, SECRET, RENEW, MISSING)
    fact_names = OfKind.fact_names | {
        "certificate": "the name of cert-manager's certificate",
        "request": "the certificate request that does not succeed",
        "order": "the ACME order that does not succeed",
        "challenge": "the ACME challenge that is not met",
        "issuer": "the issuer that is not ready or does not exist",
        "cluster_issuer": "the cluster issuer that is not ready or does not exist",
        "secret": "the TLS secret",
    }
    former_fact_names = OfKind.former_fact_names | {
        "due": Former("certificate", RENEW),
        "unseen": Former("certificate", NOT_PROCESSED),
    }

    remaining: DurationLeft | None = None
    """How much longer each must be valid, whatever is planned, such as `{P1: 7d, P0: 1d}`."""
    remaining_share: ShareLeft | None = Field(default_factory=share_unless_time)
    """
    How much of its lifetime each must have left.

    Where neither this nor `remaining` is given, `{P3: 25%, P1: 12.5%, P0: 0%}` says how bad it is that a renewal is
    overdue, or that one comes to its end which nobody will renew. One whose renewal is still to come is then left
    alone: some are renewed in their last tenth, and well.
    """
    renewal_grace: Duration = Duration.parse("2h")
    """How late a renewal may be. An attempt that failed is repeated an hour later, then after ever longer."""
    grace: Duration = Duration.parse("15m")
    """How long the first issuance may take, and how long a certificate may not be ready. A failure has no grace."""
    tls_secrets: bool = False
    """
    What is in the TLS secrets is judged too: those of certificates against what cert-manager says of them, and those
    that it does not keep by themselves.

    Only `tls.crt` is decoded. But Kubernetes knows no such permission: who may list secrets may read all of them.
    Therefore this is not asked unless you say so; `tls.certificate` judges what is really served, and needs no
    permission.
    """

    def secrets(self) -> tuple[ListTlsSecrets, ...]:
        """The TLS secrets there, where they are to be judged."""
        return self.lists(ListTlsSecrets) if self.tls_secrets else ()

    def queries(self) -> Iterable[Query[Any]]:
        """The certificates there, and what is in their secrets where the policy asks for it."""
        return *self.lists(ListCertificates), *self.secrets()

    def evidence_queries(self) -> Iterable[Query[Any]]:
        """What each is issued through: requests, orders, challenges, issuers."""
        yield from super().evidence_queries()
        yield from self.lists(ListCertificateRequests, ListOrders, ListChallenges, ListIssuers)
        yield ListClusterIssuers(self.target.name)
