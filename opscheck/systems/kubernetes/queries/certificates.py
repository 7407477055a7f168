"""cert-manager's certificates and what they are issued through, and the public part of TLS secrets."""

from dataclasses import dataclass
from typing import final

from opscheck.core.query import Timestamp
from opscheck.systems.kubernetes.lists import ListObjects
from opscheck.systems.kubernetes.objects import Condition, KubernetesObject, Part
from opscheck.systems.tls.queries.certificates import Certificate as PublicCertificate

GROUP = "cert-manager.io"


@final
class IssuerReference(Part, frozen=True):
    """Who issues it."""

    name: str | None = None
    kind: str | None = None
    """`Issuer` where nothing is said."""
    group: str | None = None
    """cert-manager's own where nothing is said; issuers of others have groups of their own."""


@final
class CertificateSpec(Part, frozen=True):
    """What was asked for."""

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
    """What became of it."""

    conditions: tuple[CertificateCondition, ...] | None = None
    not_before: Timestamp | None = None
    not_after: Timestamp | None = None
    """When the certificate in the secret ends; null until there is one."""
    renewal_time: Timestamp | None = None
    """When it will be renewed; null where no renewal is planned."""
    revision: int | None = None
    """Grows with every issuance."""
    last_failure_time: Timestamp | None = None
    """When the newest issuance failed; null once one has succeeded."""
    failed_issuance_attempts: int | None = None
    """How many have failed one after the other."""


@final
class Certificate(KubernetesObject, frozen=True):
    """A certificate that cert-manager keeps."""

    spec: CertificateSpec | None = None
    status: CertificateStatus | None = None


@final
class ConditionsOnly(Part, frozen=True):
    """A status of which nothing but the conditions is read."""

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
    """Who issues certificates in a namespace."""

    status: ConditionsOnly | None = None


@final
class ClusterIssuer(KubernetesObject, frozen=True):
    """Who issues certificates in every namespace."""

    status: ConditionsOnly | None = None


@final
class Secret(KubernetesObject, frozen=True):
    """The public part of a secret of type `kubernetes.io/tls`; its key is never decoded."""

    certificates: tuple[PublicCertificate, ...] = ()
    """What stands in `tls.crt`: the certificate, and mostly what signed it."""
    unreadable: str = ""
    """Why nothing can be made of `tls.crt`; empty where something can."""


@dataclass(frozen=True)
class ListCertificates(ListObjects[Certificate], name="kubernetes.certificates", resource=f"certificates.v1.{GROUP}"):
    """Every certificate of cert-manager there."""


@dataclass(frozen=True)
class ListCertificateRequests(
    ListObjects[CertificateRequest],
    name="kubernetes.certificaterequests",
    resource=f"certificaterequests.v1.{GROUP}",
    called="certificate requests",
):
    """Every certificate request there."""


@dataclass(frozen=True)
class ListOrders(ListObjects[Order], name="kubernetes.orders", resource=f"orders.v1.acme.{GROUP}"):
    """Every ACME order there."""


@dataclass(frozen=True)
class ListChallenges(ListObjects[Challenge], name="kubernetes.challenges", resource=f"challenges.v1.acme.{GROUP}"):
    """Every ACME challenge there that is not settled."""


@dataclass(frozen=True)
class ListIssuers(ListObjects[Issuer], name="kubernetes.issuers", resource=f"issuers.v1.{GROUP}"):
    """Every issuer there."""


@dataclass(frozen=True)
class ListClusterIssuers(
    ListObjects[ClusterIssuer],
    name="kubernetes.clusterissuers",
    resource=f"clusterissuers.v1.{GROUP}",
    called="cluster issuers",
    of_cluster=True,
):
    """Every issuer of the cluster."""


@dataclass(frozen=True)
class ListTlsSecrets(
    ListObjects[Secret],
    name="kubernetes.tls_secrets",
    resource="secrets",
    called="the certificates in TLS secrets",
    parameters={"fieldSelector": "type=kubernetes.io/tls"},
):
    """The certificates in the TLS secrets there. The server sends the keys too; they are never decoded."""
