"""Services and endpoint slices, and what a policy expects of services."""

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
    """A number, or the name that containers give one of their ports."""

    @property
    def text(self) -> str:
        """`http (80)`, or the number alone."""
        return f"{self.name} ({self.port})" if self.name else f"{self.port}"


@final
class ServiceSpec(Part, frozen=True):
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
        """Those of its ports that have an error."""
        return tuple(port for one in self.ingress or () for port in one.ports or () if port.error)


@final
class BalancedStatus(Part, frozen=True):
    load_balancer: LoadBalancerStatus | None = None


class BalancedObject(KubernetesObject, frozen=True):
    """What is reached through a load balancer: a service or an ingress."""

    status: BalancedStatus | None = None

    @property
    def load_balancer(self) -> LoadBalancerStatus:
        """Its load balancer, as far as there is one."""
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
        """The labels of its pods; empty for one that selects none."""
        return (self.spec.selector if self.spec else None) or {}

    @property
    def selector_text(self) -> str:
        """The selector as kubectl takes it: `app=api,tier=web`."""
        return ",".join(f"{key}={value}" for key, value in sorted(self.selector.items()))

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
    kind: str | None = None
    name: str | None = None


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


class ListServices(ListObjects[Service], name="kubernetes.services", resource="services"):
    """Every service there."""


class ListEndpointSlices(
    ListObjects[EndpointSlice], name="kubernetes.endpointslices", resource="endpointslices.v1.discovery.k8s.io"
):
    """Every endpoint slice there. Endpoints, their predecessor, is never asked: it is cut off at a thousand."""

    called = "endpoint slices"


_DESCRIBE = "describe service {{ service }}"
_SLICES = "get endpointslices -l kubernetes.io/service-name={{ service }}"
_PODS = "get pods -l {{ pod_selector }} -o wide"
NOT_READY = kubectl(
    "See why the pods that the service selects are not ready, then fix them",
    _DESCRIBE,
    _SLICES,
    _PODS,
    "describe pod {{ pod }}",
)
TOO_FEW_PODS = kubectl(
    "Run more of the pods that the service selects, or correct its selector", _DESCRIBE, _SLICES, _PODS
)
NO_PODS = kubectl(
    "Compare the labels of the pods with the service's selector; correct one of them, or start the pods",
    _DESCRIBE,
    "get pods --show-labels  # what should match {{ pod_selector }}?",
)
NOT_IN_SLICES = kubectl("See why the endpoint slices do not have the ready pods", _DESCRIBE, _SLICES, _PODS)
NO_SELECTOR = kubectl("Correct the endpoint slices, or the program that writes them", _DESCRIBE, _SLICES)
PORT_NOT_FOUND = kubectl(
    "Let the service name a port that its pods have",
    _DESCRIBE,
    _SLICES,
    "get pods -l {{ pod_selector }} -o 'custom-columns=POD:.metadata.name,PORTS:.spec.containers[*].ports'"
    "  # which should be {{ port }}?",
)
LOAD_BALANCER = kubectl(
    "See why the load balancer is not made, in the events of its controller",
    _DESCRIBE,
    "get events --field-selector involvedObject.kind=Service,involvedObject.name={{ service }}",
)
MISSING = missing_remedy("services")


class ServicesServed(OfKind, check="kubernetes.services"):
    """
    Every selected service has ready endpoints for each port, and its load balancer an address.

    Not judged are services of type ExternalName, and those without a selector that nobody has made endpoint slices for.
    """

    explains_others = True
    remedies = (NOT_READY, TOO_FEW_PODS, NO_PODS, NOT_IN_SLICES, NO_SELECTOR, PORT_NOT_FOUND, LOAD_BALANCER, MISSING)
    fact_names = OfKind.fact_names | {
        "service": "the service's name",
        "pod_selector": "the selector of its pods",
        "pod": "the first of its pods that is not ready",
        "port": "the port without an endpoint, as the service calls it on its pods",
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

    def workloads(self) -> tuple[ListObjects[Any], ...]:
        """What may be scaled to zero, where that is allowed."""
        return self.lists(ListDeployments, ListStatefulSets) if self.allow_scaled_to_zero else ()

    def queries(self) -> Iterable[Query[Any]]:
        """The services there, their endpoint slices, and the pods, which tell since when and why."""
        return *self.lists(ListServices, ListEndpointSlices, ListPods), *self.workloads()
