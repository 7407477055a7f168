"""What can be expected of the certificates in a cluster."""

from collections.abc import Iterable
from typing import Any

from pydantic import Field

from opscheck.core.expectation import Remediation
from opscheck.core.query import Query
from opscheck.core.units import Duration
from opscheck.systems.kubernetes.queries.certificates import (
    ListCertificateRequests,
    ListCertificates,
    ListChallenges,
    ListClusterIssuers,
    ListIssuers,
    ListOrders,
    ListTlsSecrets,
)
from opscheck.systems.kubernetes.remedies import PLACE_FACTS, kubectl
from opscheck.systems.kubernetes.scope import OfKind
from opscheck.systems.tls.expectations.lifetimes import CertificatesLast, DurationLeft, ShareLeft, share_unless_time


class CertificatesRenewed(OfKind, CertificatesLast, check="kubernetes.certificates"):
    """
    Every selected certificate of cert-manager is there, valid, and renewed when that is due.

    That is judged by the times in its status: cert-manager does not look at a certificate again when it ends, and
    leaves `Ready=True` behind. An issuance that is on its way is no trouble while the certificate before it is valid.
    """

    fact_names = PLACE_FACTS | {
        "certificate": "the certificate's name, when it is one of cert-manager's",
        "due": "the certificate, when it must be renewed",
        "request": "the certificate request that does not succeed",
        "order": "the ACME order that does not succeed",
        "challenge": "the ACME challenge that is not met",
        "issuer": "the issuer, when it is not ready",
        "cluster_issuer": "the cluster issuer, when it is not ready",
        "unseen": "the certificate, when cert-manager has not looked at it",
        "secret": "the secret, when what is in it is the trouble",
    }
    default_remediation = Remediation(
        summary="See which of request, order, challenge or issuer fails, mend that, then have it issued again",
        commands=(
            *kubectl(
                "describe certificate {{ certificate }}",
                "describe certificaterequest {{ request }}",
                "describe order {{ order }}",
                "describe challenge {{ challenge }}",
                "describe issuer {{ issuer }}",
                "describe clusterissuer {{ cluster_issuer }}",
                "get certificate {{ unseen }}; kubectl get pods -A -l app.kubernetes.io/instance=cert-manager",
                "get secret {{ secret }} -o 'jsonpath={.data.tls\\.crt}' | base64 -d | openssl x509 -noout -text",
            ),
            "cmctl --context {{ context }} -n {{ namespace }} renew {{ due }}  # once the cause is mended",
            "cmctl -n {{ current_namespace }} renew {{ due }}  # once the cause is mended",
        ),
    )

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
        return self.ask(ListTlsSecrets) if self.tls_secrets else ()

    def looks_at(self) -> Iterable[Query[Any]]:
        """The certificates there, and what is in their secrets where the policy asks for it."""
        return *self.ask(ListCertificates), *self.secrets()

    def aside(self) -> Iterable[Query[Any]]:
        """What each is issued through: requests, orders, challenges, issuers."""
        yield from super().aside()
        for kind in (ListCertificateRequests, ListOrders, ListChallenges, ListIssuers):
            yield from self.ask(kind)
        yield ListClusterIssuers(self.target.name)
