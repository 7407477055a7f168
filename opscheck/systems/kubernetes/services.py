"""Services and endpoint slices, and the expectation of services."""

from collections.abc import Iterable
from typing import Any, final

import msgspec
from pydantic import Field

from opscheck.core.field_types import CountLeft
from opscheck.core.query import Query
from opscheck.core.remedy import Former
from opscheck.core.units import Duration, GradedMinimum
from opscheck.systems.kubernetes.lists import ListObjects
from opscheck.systems.kubernetes.objects import KubernetesObject, Part
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.systems.kubernetes.scope import OfKind, kubectl, missing_remedy
from opscheck.systems.kubernetes.workloads import ListDeployments, ListStatefulSets


@final
class ServicePort(Part, frozen=True):
    name: str | None = None
    port: int | None = None
    target_port: int | str | None = None
    """A number, or the name of a container's port."""

    @property
    def text(self) -> str:
        """`http (80)`, or the number alone."""
        return f"{self.name} ({self.port})" if self.name else f"{self.port}"


@final
class ServiceSpec(Part, frozen=True):
    type: str | None = None
    """ClusterIP, NodePort, LoadBalancer or ExternalName."""
    selector: dict[str, str] | None = None
    """The labels of its pods. Without one, another program may write the endpoint slices."""
    ports: tuple[ServicePort, ...] | None = None
    cluster_ip: str | None = msgspec.field(default=None, name="clusterIP")
    """`None`, as a text, for a headless service."""
    cluster_ips: tuple[str, ...] | None = msgspec.field(default=None, name="clusterIPs")
    """One of each IP family; the first is `cluster_ip`."""
    load_balancer_class: str | None = None
    """The implementation of the load balancer; by default the cloud provider's."""


@final
class PortStatus(Part, frozen=True):
    port: int | None = None
    error: str | None = None


@final
class LoadBalancerIngress(Part, frozen=True):
    ip: str | None = None
    hostname: str | None = None
    ports: tuple[PortStatus, ...] | None = None


@final
class LoadBalancerStatus(Part, frozen=True):
    ingress: tuple[LoadBalancerIngress, ...] | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        """Its addresses and host names."""
        return tuple(address for one in self.ingress or () if (address := one.ip or one.hostname))

    @property
    def failed_ports(self) -> tuple[PortStatus, ...]:
        """Its ports with an error."""
        return tuple(port for one in self.ingress or () for port in one.ports or () if port.error)


@final
class BalancedStatus(Part, frozen=True):
    load_balancer: LoadBalancerStatus | None = None


class BalancedObject(KubernetesObject, frozen=True):
    """An object with a load balancer: a service or an ingress."""

    status: BalancedStatus | None = None

    @property
    def load_balancer(self) -> LoadBalancerStatus:
        """The status of its load balancer; empty without one."""
        return (self.status and self.status.load_balancer) or LoadBalancerStatus()


@final
class Service(BalancedObject, frozen=True):
    spec: ServiceSpec | None = None

    @property
    def type(self) -> str:
        """ClusterIP, NodePort, LoadBalancer or ExternalName."""
        return (self.spec and self.spec.type) or "ClusterIP"

    @property
    def selector(self) -> dict[str, str]:
        """The labels of its pods; empty without a selector."""
        return (self.spec.selector if self.spec else None) or {}

    @property
    def selector_text(self) -> str:
        """The selector in kubectl's format: `app=api,tier=web`."""
        return ",".join(f"{key}={value}" for key, value in sorted(self.selector.items()))

    @property
    def ports(self) -> tuple[ServicePort, ...]:
        """Its ports."""
        return (self.spec.ports if self.spec else None) or ()

    @property
    def is_headless(self) -> bool:
        """True when its name resolves to the addresses of its pods."""
        return bool(self.spec and self.spec.cluster_ip == "None")

    @property
    def cluster_ips(self) -> tuple[str, ...]:
        """Its own addresses in the cluster; none for a headless service."""
        found = (self.spec and (self.spec.cluster_ips or (self.spec.cluster_ip or "",))) or ()
        return tuple(address for address in found if address and address != "None")


@final
class EndpointConditions(Part, frozen=True):
    """The state of an endpoint. A missing field means true, except for `terminating`."""

    ready: bool | None = None
    """It takes new connections: it is ready, and does not terminate."""
    serving: bool | None = None
    """It is ready, even if it terminates."""
    terminating: bool | None = None


@final
class EndpointTarget(Part, frozen=True):
    kind: str | None = None
    name: str | None = None


@final
class Endpoint(Part, frozen=True):
    """One endpoint of a service."""

    addresses: tuple[str, ...] | None = None
    """All of them reach the same endpoint."""
    conditions: EndpointConditions | None = None
    target_ref: EndpointTarget | None = None
    hostname: str | None = None
    """Its own name within the domain of a headless service."""

    @property
    def is_ready(self) -> bool:
        """True when it gets new connections. Without a condition it is ready."""
        return self.conditions is None or self.conditions.ready is not False

    @property
    def still_serves(self) -> bool:
        """True when it terminates and still serves: the last resort without ready endpoints."""
        conditions = self.conditions
        return bool(conditions and conditions.terminating and conditions.serving is not False)


@final
class EndpointPort(Part, frozen=True):
    """A port of all endpoints of a slice, under the name of the service's port."""

    name: str | None = None


@final
class EndpointSlice(KubernetesObject, frozen=True):
    """A part of a service's endpoints; large services and those with several IP families have many slices."""

    address_type: str | None = None
    """IPv4, IPv6 or FQDN."""
    endpoints: tuple[Endpoint, ...] | None = None
    ports: tuple[EndpointPort, ...] | None = None

    @property
    def service(self) -> str:
        """Its service; empty without one."""
        return self.labels.get("kubernetes.io/service-name", "")


class ListServices(ListObjects[Service], name="kubernetes.services", resource="services"):
    """Lists services."""


class ListEndpointSlices(
    ListObjects[EndpointSlice], name="kubernetes.endpointslices", resource="endpointslices.v1.discovery.k8s.io"
):
    """Lists endpoint slices. Endpoints, their predecessor, is not read: it is truncated at a thousand."""

    called = "endpoint slices"


_DESCRIBE = "describe service {{ service }}"
_SLICES = "get endpointslices -l kubernetes.io/service-name={{ service }}"
_PODS = "get pods -l {{ pod_selector }} -o wide"
NOT_READY = kubectl(
    "Find out why the selected pods are not ready, and fix them",
    _DESCRIBE,
    _SLICES,
    _PODS,
    "describe pod {{ pod }}",
)
TOO_FEW_PODS = kubectl("Run more pods that match the service's selector, or correct it", _DESCRIBE, _SLICES, _PODS)
NO_PODS = kubectl(
    "Compare the labels of the pods with the service's selector; correct one of them, or start the pods",
    _DESCRIBE,
    "get pods --show-labels  # compare with {{ pod_selector }}",
)
NOT_IN_SLICES = kubectl("Find out why the endpoint slices lack the ready pods", _DESCRIBE, _SLICES, _PODS)
NO_SELECTOR = kubectl("Correct the endpoint slices, or the program that writes them", _DESCRIBE, _SLICES)
PORT_NOT_FOUND = kubectl(
    "Name a port of the pods in the service",
    _DESCRIBE,
    _SLICES,
    "get pods -l {{ pod_selector }} -o 'custom-columns=POD:.metadata.name,PORTS:.spec.containers[*].ports'"
    "  # look for {{ port }}",
)
LOAD_BALANCER = kubectl(
    "Read the events of the load balancer's controller, and fix the cause",
    _DESCRIBE,
    "get events --field-selector involvedObject.kind=Service,involvedObject.name={{ service }}",
)
MISSING = missing_remedy("services")


class ServicesServed(OfKind, check="kubernetes.services"):
    """
    Every selected service has ready endpoints for each port, and its load balancer an address.

    Services of type ExternalName, and services without selector and endpoint slices, are not judged.
    """

    explains_others = True
    remedies = (NOT_READY, TOO_FEW_PODS, NO_PODS, NOT_IN_SLICES, NO_SELECTOR, PORT_NOT_FOUND, LOAD_BALANCER, MISSING)
    fact_names = OfKind.fact_names | {
        "service": "the service's name",
        "pod_selector": "the selector of its pods",
        "pod": "the first of its pods that is not ready",
        "port": "the target port without an endpoint",
    }
    former_fact_names = OfKind.former_fact_names | {
        "sliced": Former("service", NOT_READY, TOO_FEW_PODS, NOT_IN_SLICES, NO_SELECTOR, PORT_NOT_FOUND),
        "unbalanced": Former("service", LOAD_BALANCER),
        "selected": Former("pod_selector", NOT_READY, TOO_FEW_PODS, NOT_IN_SLICES),
        "unmatched": Former("pod_selector", NO_PODS),
        "unported": Former("pod_selector", PORT_NOT_FOUND),
        "unready_pod": Former("pod", NOT_READY),
        "missing_port": Former("port", PORT_NOT_FOUND),
    }

    min_ready: CountLeft = Field(default_factory=lambda: GradedMinimum(plain=1))
    """Minimum number of ready endpoints; 1 by default. A pod with several addresses counts once."""
    allow_scaled_to_zero: bool = False
    """
    Allow a service whose pods are scaled to zero on purpose: all deployments and stateful sets that match its selector
    have `replicas: 0`. This needs the permission to list both.
    """
    load_balancer: bool = True
    """A service of type LoadBalancer must get an address."""
    load_balancer_grace: Duration = Duration.parse("15m")
    """Maximum time for that, from the creation of the service."""
    grace: Duration = Duration.parse("5m")
    """Maximum time in which a service may have too few ready endpoints, for example while its pods start."""

    def workloads(self) -> tuple[ListObjects[Any], ...]:
        """The lists of workloads that may be scaled to zero, if the policy allows that."""
        return self.lists(ListDeployments, ListStatefulSets) if self.allow_scaled_to_zero else ()

    def queries(self) -> Iterable[Query[Any]]:
        """The services, their endpoint slices, and the pods, which show time and cause."""
        return *self.lists(ListServices, ListEndpointSlices, ListPods), *self.workloads()
