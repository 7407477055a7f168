"""Ingresses, ingress classes, names of secrets, and the expectation of ingresses."""

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
    """The receiver of requests: a service, or a resource of the controller."""

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
    """Hosts and the secret with their certificate. Without a secret the controller serves its own certificate."""

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
        """The class in its spec or in the old annotation; empty for none."""
        return (self.spec and self.spec.ingress_class_name) or self.annotations.ingress_class or ""


@final
class IngressClass(KubernetesObject, frozen=True):
    """A kind of ingress controller."""

    @property
    def is_default(self) -> bool:
        """True when it is the class of ingresses without a class."""
        return self.annotations.default_ingress_class == "true"


@final
class SecretName(KubernetesObject, frozen=True):
    """The name of a secret. Its content is never requested."""


class ListIngresses(ListObjects[Ingress], name="kubernetes.ingresses", resource="ingresses.v1.networking.k8s.io"):
    """Lists ingresses."""


class ListIngressClasses(
    ListObjects[IngressClass], name="kubernetes.ingressclasses", resource="ingressclasses.v1.networking.k8s.io"
):
    """Lists ingress classes."""

    called = "ingress classes"
    namespaced = False


class ListSecretNames(ListObjects[SecretName], name="kubernetes.secret_names", resource="secrets"):
    """Lists the names of secrets, without their content."""

    called = "the names of secrets"
    only_metadata = True


_DESCRIBE = "describe ingress {{ ingress }}"
SERVICE_NOT_FOUND = kubectl(
    "Name an existing service in the ingress", _DESCRIBE, "get services  # find the one for {{ service }}"
)
PORT_NOT_FOUND = kubectl("Name a port of the service in the ingress", _DESCRIBE, "get service {{ service }} -o wide")
NOT_SERVED = kubectl(
    "Restore the pods of the service",
    _DESCRIBE,
    "get endpointslices -l kubernetes.io/service-name={{ service }}",
    "describe service {{ service }}",
)
SECRET_NOT_FOUND = kubectl(
    "Create the secret, or find out why the certificate is not issued",
    _DESCRIBE,
    "get secrets  # look for {{ secret }}",
)
CLASS_NOT_FOUND = kubectl(
    "Name an existing class in the ingress, or make one the default",
    _DESCRIBE,
    "get ingressclasses  # look for {{ class_name }}",
)
NO_ADDRESS = kubectl(
    "Check that the ingress controller runs, and read its events",
    _DESCRIBE,
    "get events --field-selector involvedObject.kind=Ingress,involvedObject.name={{ ingress }}",
)
MISSING = missing_remedy("ingresses")


class IngressesServed(OfKind, check="kubernetes.ingresses"):
    """
    Every selected ingress has an address and routes to services with ready endpoints.

    Backends other than services, such as resources of the ingress controller or actions of the AWS load balancer
    controller (`use-annotation`), are not judged.
    """

    remedies = (SERVICE_NOT_FOUND, PORT_NOT_FOUND, NOT_SERVED, SECRET_NOT_FOUND, CLASS_NOT_FOUND, NO_ADDRESS, MISSING)
    fact_names = OfKind.fact_names | {
        "ingress": "the ingress's name",
        "service": "the service that it names",
        "secret": "the secret with the certificate that it names",
        "class_name": "the ingress class that it names; `a default` without one",
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
    An ingress must have an address in its status.

    Set `false` where the controller publishes none, such as Traefik without `publishedService`.
    """
    ingress_class: bool = False
    """
    The class of an ingress must exist; an ingress without a class needs a default class.

    This needs the permission `list ingressclasses` in the cluster. GKE has the classes `gce` and `gce-internal` built
    in.
    """
    tls_secrets: bool = False
    """
    The secrets with the certificates must exist.

    Only their names are requested. But Kubernetes has no such permission: a client that may list secrets may read
    them. Therefore the default is off. `tls.certificate` judges the served certificate, and needs no permission.
    """
    grace: Duration = Duration.parse("15m")
    """Maximum time in which a new ingress may be incomplete, or its services without ready endpoints."""

    def classes(self) -> tuple[ListIngressClasses, ...]:
        """The list of ingress classes, if the policy has them judged."""
        return (ListIngressClasses(self.target.name),) if self.ingress_class else ()

    def secrets(self) -> tuple[ListSecretNames, ...]:
        """The lists of names of secrets, if the policy has them judged."""
        return self.lists(ListSecretNames) if self.tls_secrets else ()

    def queries(self) -> Iterable[Query[Any]]:
        """The ingresses, their services, endpoint slices and pods, and classes and secrets if the policy needs them."""
        lists = self.lists(ListIngresses, ListServices, ListEndpointSlices, ListPods)
        return *lists, *self.classes(), *self.secrets()
