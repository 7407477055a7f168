"""What can be expected of services and ingresses."""

from collections.abc import Iterable
from typing import Any

from pydantic import Field

from opscheck.core.expectation import Remediation
from opscheck.core.limits import CountLeft
from opscheck.core.query import Query
from opscheck.core.units import Duration, GradedMinimum
from opscheck.systems.kubernetes.lists import ListObjects
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.systems.kubernetes.queries.network import (
    ListEndpointSlices,
    ListIngressClasses,
    ListIngresses,
    ListSecretNames,
    ListServices,
)
from opscheck.systems.kubernetes.remedies import PLACE_FACTS, kubectl
from opscheck.systems.kubernetes.scope import OfKind
from opscheck.systems.kubernetes.workloads import ListDeployments, ListStatefulSets


class ServicesServed(OfKind, check="kubernetes.services"):
    """
    Every selected service has ready endpoints behind each of its ports, and its load balancer has an address.

    Not judged are services of type ExternalName, and those without a selector that nobody has made endpoint slices
    for.
    """

    explains_others = True
    fact_names = PLACE_FACTS | {
        "service": "the service's name",
        "sliced": "the service, when its endpoints are the trouble",
        "selected": "its selector, when it matches pods",
        "unready_pod": "the first of its pods that is not ready",
        "unmatched": "its selector, when it matches no pod",
        "unported": "its selector, when a port has no endpoint",
        "missing_port": "that port, as the service calls it on its pods",
        "unbalanced": "the service, when its load balancer is the trouble",
    }
    default_remediation = Remediation(
        summary="See which pods the service selects and why they are not ready, then mend those, or its selector",
        commands=kubectl(
            "describe service {{ service }}",
            "get endpointslices -l kubernetes.io/service-name={{ sliced }}",
            "get pods -l {{ selected }} -o wide",
            "describe pod {{ unready_pod }}",
            "get pods --show-labels  # what should match {{ unmatched }}?",
            "get pods -l {{ unported }} -o 'custom-columns=POD:.metadata.name,PORTS:.spec.containers[*].ports'"
            "  # which should be {{ missing_port }}?",
            "get events --field-selector involvedObject.kind=Service,involvedObject.name={{ unbalanced }}",
        ),
    )

    min_ready: CountLeft = Field(default_factory=lambda: GradedMinimum(plain=1))
    """How many endpoints must be ready; 1 by default. A pod with several addresses is one."""
    allow_scaled_to_zero: bool = False
    """
    Let a service be whose pods are scaled to zero on purpose: all deployments and stateful sets that its selector
    matches have `replicas: 0`. This asks for lists of both.
    """
    load_balancer: bool = True
    """A service of type LoadBalancer must get an address."""
    load_balancer_grace: Duration = Duration.parse("15m")
    """How long that may take, from when the service was made."""
    grace: Duration = Duration.parse("5m")
    """How long a service may have too few ready endpoints, such as while its pods start."""

    def deployments(self) -> tuple[ListDeployments, ...]:
        """What may be scaled to zero, where that is allowed."""
        return self.ask(ListDeployments) if self.allow_scaled_to_zero else ()

    def stateful_sets(self) -> tuple[ListStatefulSets, ...]:
        """What else may be."""
        return self.ask(ListStatefulSets) if self.allow_scaled_to_zero else ()

    def looks_at(self) -> Iterable[Query[Any]]:
        """The services there, their endpoint slices, and the pods, which tell since when and why."""
        kinds: tuple[type[ListObjects[Any]], ...] = (ListServices, ListEndpointSlices, ListPods)
        return (*(one for kind in kinds for one in self.ask(kind)), *self.deployments(), *self.stateful_sets())


class IngressesServed(OfKind, check="kubernetes.ingresses"):
    """
    Every selected ingress leads to services that exist and are served, and has an address.

    A backend that is no service, but a resource of the ingress controller, is not judged; neither is an action of
    the AWS load balancer controller (`use-annotation`).
    """

    fact_names = PLACE_FACTS | {
        "ingress": "the ingress's name",
        "missing_service": "the service it names, when there is none of that name",
        "wrong_port_of": "the service, when it lacks the port",
        "unserved_service": "the service, when it has no ready endpoint",
        "missing_secret": "the secret with the certificate, when it does not exist",
        "missing_class": "the class it names, when there is none; `a default` when it names none",
        "unaddressed": "the ingress, when it has no address, or one of its ports failed",
    }
    default_remediation = Remediation(
        summary="Let the ingress name a service and port that exist, and give that service ready pods",
        commands=kubectl(
            "describe ingress {{ ingress }}",
            "get services  # which should be {{ missing_service }}?",
            "get service {{ wrong_port_of }} -o wide",
            "get endpointslices -l kubernetes.io/service-name={{ unserved_service }}",
            "describe service {{ unserved_service }}",
            "get secret {{ missing_secret }}",
            "get ingressclasses  # is there {{ missing_class }}?",
            "get events --field-selector involvedObject.kind=Ingress,involvedObject.name={{ unaddressed }}",
        ),
    )

    address: bool = True
    """
    An ingress must get an address in its status.

    Write `false` where the controller publishes none, such as Traefik without `publishedService`.
    """
    ingress_class: bool = False
    """
    The class of an ingress must exist, or there must be a default one where it names none.

    This asks for `list ingressclasses` in the whole cluster. The classes `gce` and `gce-internal` are built into GKE.
    """
    tls_secrets: bool = False
    """
    The secrets with the certificates must exist.

    Only their names are asked for, but Kubernetes knows no such permission: who may list secrets may read them.
    Therefore this is not asked unless you say so; a check of what the ingress really presents needs no permission.
    """
    grace: Duration = Duration.parse("15m")
    """How long an ingress may take until it has all this, and a service behind it may be without ready endpoints."""

    def classes(self) -> tuple[ListIngressClasses, ...]:
        """The classes of the cluster, where they are to be judged."""
        return (ListIngressClasses(self.target.name),) if self.ingress_class else ()

    def secrets(self) -> tuple[ListSecretNames, ...]:
        """The names of the secrets there, where they are to be judged."""
        return self.ask(ListSecretNames) if self.tls_secrets else ()

    def looks_at(self) -> Iterable[Query[Any]]:
        """The ingresses there, the services and endpoint slices behind them, and what else the policy asks for."""
        kinds: tuple[type[ListObjects[Any]], ...] = (ListIngresses, ListServices, ListEndpointSlices, ListPods)
        return (*(one for kind in kinds for one in self.ask(kind)), *self.classes(), *self.secrets())
