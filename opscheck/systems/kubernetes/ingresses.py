"""Ingresses, ingress classes and the names of secrets, and what a policy expects of ingresses."""

from collections.abc import Iterable
from typing import Any, final

from opscheck.core.query import Query
from opscheck.core.remedy import Former
from opscheck.core.units import Duration
from opscheck.systems.kubernetes.lists import ListObjects
from opscheck.systems.kubernetes.objects import KubernetesObject, Part
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.systems.kubernetes.scope import OfKind, kubectl, missing_remedy
from opscheck.systems.kubernetes.services import BalancedObject, ListEndpointSlices, ListServices


@final
class ServiceBackendPort(Part, frozen=True):
    """A service's port, by its name or by its number."""

    name: str | None = None
    number: int | None = None


@final
class IngressServiceBackend(Part, frozen=True):
    name: str | None = None
    port: ServiceBackendPort | None = None


@final
class IngressBackend(Part, frozen=True):
    """Where requests are sent: to a service, or to a resource that only the controller knows."""

    service: IngressServiceBackend | None = None


@final
class IngressPath(Part, frozen=True):
    path: str | None = None
    backend: IngressBackend | None = None


@final
class IngressHttp(Part, frozen=True):
    paths: tuple[IngressPath, ...] | None = None


@final
class IngressRule(Part, frozen=True):
    host: str | None = None
    http: IngressHttp | None = None


@final
class IngressTls(Part, frozen=True):
    """Hosts and the secret with their certificate. Without a secret the controller's own certificate is shown."""

    hosts: tuple[str, ...] | None = None
    secret_name: str | None = None


@final
class IngressSpec(Part, frozen=True):
    ingress_class_name: str | None = None
    default_backend: IngressBackend | None = None
    rules: tuple[IngressRule, ...] | None = None
    tls: tuple[IngressTls, ...] | None = None


@final
class Ingress(BalancedObject, frozen=True):
    spec: IngressSpec | None = None

    @property
    def ingress_class(self) -> str:
        """The class it names, in its spec or in the annotation from before; empty for none."""
        return (self.spec and self.spec.ingress_class_name) or self.annotations.ingress_class or ""


@final
class IngressClass(KubernetesObject, frozen=True):
    """A kind of ingress controller."""

    @property
    def is_default(self) -> bool:
        """True when it is the class of those ingresses that name none."""
        return self.annotations.default_ingress_class == "true"


@final
class SecretName(KubernetesObject, frozen=True):
    """That a secret exists. What it holds is never asked for."""


class ListIngresses(ListObjects[Ingress], name="kubernetes.ingresses", resource="ingresses.v1.networking.k8s.io"):
    """Every ingress there."""


class ListIngressClasses(
    ListObjects[IngressClass], name="kubernetes.ingressclasses", resource="ingressclasses.v1.networking.k8s.io"
):
    """Every ingress class of the cluster."""

    called = "ingress classes"
    namespaced = False


class ListSecretNames(ListObjects[SecretName], name="kubernetes.secret_names", resource="secrets"):
    """The names of the secrets there, and nothing that is in them."""

    called = "the names of secrets"
    only_metadata = True


_DESCRIBE = "describe ingress {{ ingress }}"
SERVICE_NOT_FOUND = kubectl(
    "Let the ingress name a service that exists", _DESCRIBE, "get services  # which should be {{ service }}?"
)
PORT_NOT_FOUND = kubectl(
    "Let the ingress name a port that the service has", _DESCRIBE, "get service {{ service }} -o wide"
)
NOT_SERVED = kubectl(
    "Give the service ready pods",
    _DESCRIBE,
    "get endpointslices -l kubernetes.io/service-name={{ service }}",
    "describe service {{ service }}",
)
SECRET_NOT_FOUND = kubectl(
    "Create the secret, or see why the certificate is not issued", _DESCRIBE, "get secret {{ secret }}"
)
CLASS_NOT_FOUND = kubectl(
    "Let the ingress name a class that exists, or make one the default",
    _DESCRIBE,
    "get ingressclasses  # is there {{ class_name }}?",
)
NO_ADDRESS = kubectl(
    "See whether the ingress controller runs, and what it reports",
    _DESCRIBE,
    "get events --field-selector involvedObject.kind=Ingress,involvedObject.name={{ ingress }}",
)
MISSING = missing_remedy("ingresses")


class IngressesServed(OfKind, check="kubernetes.ingresses"):
    """
    Every selected ingress has an address and routes to services with ready endpoints.

    A backend that is no service, but a resource of the ingress controller, is not judged; neither is an action of the
    AWS load balancer controller (`use-annotation`).
    """

    remedies = (SERVICE_NOT_FOUND, PORT_NOT_FOUND, NOT_SERVED, SECRET_NOT_FOUND, CLASS_NOT_FOUND, NO_ADDRESS, MISSING)
    fact_names = OfKind.fact_names | {
        "ingress": "the ingress's name",
        "service": "the service that it names",
        "secret": "the secret with the certificate that it names",
        "class_name": "the ingress class that it names; `a default` where it names none",
    }
    former_fact_names = OfKind.former_fact_names | {
        "missing_service": Former("service", SERVICE_NOT_FOUND),
        "wrong_port_of": Former("service", PORT_NOT_FOUND),
        "unserved_service": Former("service", NOT_SERVED),
        "missing_secret": Former("secret", SECRET_NOT_FOUND),
        "missing_class": Former("class_name", CLASS_NOT_FOUND),
        "unaddressed": Former("ingress", NO_ADDRESS),
    }

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
        return self.lists(ListSecretNames) if self.tls_secrets else ()

    def queries(self) -> Iterable[Query[Any]]:
        """The ingresses there, the services and endpoint slices behind them, and what else the policy asks for."""
        lists = self.lists(ListIngresses, ListServices, ListEndpointSlices, ListPods)
        return *lists, *self.classes(), *self.secrets()
