"""Services, endpoint slices and ingresses, as far as checks read them, and the names of secrets."""

from dataclasses import dataclass
from typing import final

import msgspec

from opscheck.systems.kubernetes.lists import ListObjects
from opscheck.systems.kubernetes.objects import KubernetesObject, Part


@final
class ServicePort(Part, frozen=True):
    """One port of a service."""

    name: str | None = None
    port: int | None = None
    target_port: int | str | None = None
    """A number, or the name that containers give one of their ports."""
    protocol: str | None = None


@final
class ServiceSpec(Part, frozen=True):
    """What was asked for."""

    type: str | None = None
    """ClusterIP, NodePort, LoadBalancer or ExternalName."""
    selector: dict[str, str] | None = None
    """The pods that answer. Without one, somebody else writes the endpoint slices, or nobody does."""
    ports: tuple[ServicePort, ...] | None = None
    cluster_ip: str | None = msgspec.field(default=None, name="clusterIP")
    """`None`, as a text, for a headless service."""
    cluster_ips: tuple[str, ...] | None = msgspec.field(default=None, name="clusterIPs")
    """One of each IP family; the first is `cluster_ip`."""
    load_balancer_class: str | None = None
    """Which implementation makes the load balancer; the cloud provider's by default."""


@final
class PortStatus(Part, frozen=True):
    """What became of one port of a load balancer."""

    port: int | None = None
    protocol: str | None = None
    error: str | None = None


@final
class LoadBalancerIngress(Part, frozen=True):
    """One address of a load balancer."""

    ip: str | None = None
    hostname: str | None = None
    ports: tuple[PortStatus, ...] | None = None


@final
class LoadBalancerStatus(Part, frozen=True):
    """Where traffic comes in."""

    ingress: tuple[LoadBalancerIngress, ...] | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        """Its addresses and host names."""
        return tuple(address for one in self.ingress or () if (address := one.ip or one.hostname))

    @property
    def failed_ports(self) -> tuple[PortStatus, ...]:
        """Those of its ports that have an error."""
        return tuple(port for one in self.ingress or () for port in one.ports or () if port.error)


@final
class BalancedStatus(Part, frozen=True):
    """What became of a service or an ingress."""

    load_balancer: LoadBalancerStatus | None = None


@final
class Service(KubernetesObject, frozen=True):
    """A service."""

    spec: ServiceSpec | None = None
    status: BalancedStatus | None = None

    @property
    def type(self) -> str:
        """ClusterIP, NodePort, LoadBalancer or ExternalName."""
        return (self.spec and self.spec.type) or "ClusterIP"

    @property
    def selector(self) -> dict[str, str]:
        """The labels of its pods; empty for one that selects none."""
        return (self.spec.selector if self.spec else None) or {}

    @property
    def ports(self) -> tuple[ServicePort, ...]:
        """Its ports."""
        return (self.spec.ports if self.spec else None) or ()

    @property
    def is_headless(self) -> bool:
        """True when its name stands for the addresses of its pods."""
        return bool(self.spec and self.spec.cluster_ip == "None")

    @property
    def cluster_ips(self) -> tuple[str, ...]:
        """Its own addresses inside the cluster; none for a headless service."""
        found = (self.spec and (self.spec.cluster_ips or (self.spec.cluster_ip or "",))) or ()
        return tuple(address for address in found if address and address != "None")

    @property
    def load_balancer(self) -> LoadBalancerStatus:
        """Its load balancer, as far as there is one."""
        return (self.status and self.status.load_balancer) or LoadBalancerStatus()


@final
class EndpointConditions(Part, frozen=True):
    """How an endpoint is. What is missing is to be read as true, but for `terminating`."""

    ready: bool | None = None
    """It takes new connections: it is ready, and does not terminate."""
    serving: bool | None = None
    """It is ready, whether it terminates or not."""
    terminating: bool | None = None


@final
class EndpointTarget(Part, frozen=True):
    """The object behind an endpoint, most often a pod."""

    kind: str | None = None
    name: str | None = None
    namespace: str | None = None


@final
class Endpoint(Part, frozen=True):
    """One that answers for a service."""

    addresses: tuple[str, ...] | None = None
    """They all lead to the same."""
    conditions: EndpointConditions | None = None
    target_ref: EndpointTarget | None = None
    hostname: str | None = None
    """Its own name below a headless service's."""

    @property
    def is_ready(self) -> bool:
        """True when new connections are sent to it. Who does not say is ready."""
        return self.conditions is None or self.conditions.ready is not False

    @property
    def still_serves(self) -> bool:
        """True when it terminates, and serves until then: the last resort where nothing is ready."""
        conditions = self.conditions
        return bool(conditions and conditions.terminating and conditions.serving is not False)


@final
class EndpointPort(Part, frozen=True):
    """A port that all endpoints of a slice have, under the name of the service's port."""

    name: str | None = None
    port: int | None = None
    protocol: str | None = None


@final
class EndpointSlice(KubernetesObject, frozen=True):
    """Some of the endpoints of a service; large services and those with several IP families have many of these."""

    address_type: str | None = None
    """IPv4, IPv6 or FQDN."""
    endpoints: tuple[Endpoint, ...] | None = None
    ports: tuple[EndpointPort, ...] | None = None

    @property
    def service(self) -> str:
        """The service it belongs to; empty for none."""
        return self.labels.get("kubernetes.io/service-name", "")


@final
class ServiceBackendPort(Part, frozen=True):
    """A service's port, by its name or by its number."""

    name: str | None = None
    number: int | None = None


@final
class IngressServiceBackend(Part, frozen=True):
    """A service that requests are sent to."""

    name: str | None = None
    port: ServiceBackendPort | None = None


@final
class IngressBackend(Part, frozen=True):
    """Where requests are sent: to a service, or to a resource that only the controller knows."""

    service: IngressServiceBackend | None = None


@final
class IngressPath(Part, frozen=True):
    """One path of a host."""

    path: str | None = None
    backend: IngressBackend | None = None


@final
class IngressHttp(Part, frozen=True):
    """The paths of a host."""

    paths: tuple[IngressPath, ...] | None = None


@final
class IngressRule(Part, frozen=True):
    """One host, and what answers for it."""

    host: str | None = None
    http: IngressHttp | None = None


@final
class IngressTls(Part, frozen=True):
    """Hosts and the secret with their certificate. Without a secret the controller's own certificate is shown."""

    hosts: tuple[str, ...] | None = None
    secret_name: str | None = None


@final
class IngressSpec(Part, frozen=True):
    """What was asked for."""

    ingress_class_name: str | None = None
    default_backend: IngressBackend | None = None
    rules: tuple[IngressRule, ...] | None = None
    tls: tuple[IngressTls, ...] | None = None


@final
class Ingress(KubernetesObject, frozen=True):
    """An ingress."""

    spec: IngressSpec | None = None
    status: BalancedStatus | None = None

    @property
    def ingress_class(self) -> str:
        """The class it names, in its spec or in the annotation from before; empty for none."""
        return (self.spec and self.spec.ingress_class_name) or self.annotations.ingress_class or ""

    @property
    def load_balancer(self) -> LoadBalancerStatus:
        """Where it is served, as far as its controller says so."""
        return (self.status and self.status.load_balancer) or LoadBalancerStatus()


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


@dataclass(frozen=True)
class ListServices(ListObjects[Service], name="kubernetes.services", resource="services"):
    """Every service there."""


@dataclass(frozen=True)
class ListEndpointSlices(
    ListObjects[EndpointSlice],
    name="kubernetes.endpointslices",
    resource="endpointslices.v1.discovery.k8s.io",
    called="endpoint slices",
):
    """Every endpoint slice there. Endpoints, their predecessor, is never asked: it is cut off at a thousand."""


@dataclass(frozen=True)
class ListIngresses(ListObjects[Ingress], name="kubernetes.ingresses", resource="ingresses.v1.networking.k8s.io"):
    """Every ingress there."""


@dataclass(frozen=True)
class ListIngressClasses(
    ListObjects[IngressClass],
    name="kubernetes.ingressclasses",
    resource="ingressclasses.v1.networking.k8s.io",
    called="ingress classes",
    of_cluster=True,
):
    """Every ingress class of the cluster."""


@dataclass(frozen=True)
class ListSecretNames(
    ListObjects[SecretName],
    name="kubernetes.secret_names",
    resource="secrets",
    called="the names of secrets",
    only_metadata=True,
):
    """The names of the secrets there, and nothing that is in them."""
