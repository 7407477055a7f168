"""Names that must resolve in a cluster."""

import re
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field

from opscheck.core.field_types import only
from opscheck.core.query import Query
from opscheck.core.remedy import Former, Remedy
from opscheck.core.units import Duration, Graded, Timeout
from opscheck.systems.host.name_resolution import ResolveName
from opscheck.systems.host.target import HostTarget
from opscheck.systems.kubernetes.scope import EVERY_NAMESPACE, InCluster, L, Namespace
from opscheck.systems.kubernetes.services import ListEndpointSlices, ListServices

_LABEL = r"[A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*")
_IS_NAME = only(_NAME.fullmatch, "dns_name", "the name of a service, such as api, or a full name, such as example.com")
_IS_ONE = only(lambda value: value != EVERY_NAMESPACE, "namespace", "one namespace: a name is resolved in one")
DnsName = Annotated[str, _IS_NAME]
_PODS = "-l k8s-app=kube-dns"


_RESOLVE = "getent ahosts {{ host_name }}; cat /etc/resolv.conf"
_OF_DNS = "kubectl {{ context_option }} -n {{ dns_namespace }}"
_OF_SERVICE = "kubectl {{ context_option }} -n {{ namespace }}"
RESOLVER_FAILS = Remedy(
    "Repeat the query on that host, and check the pods and logs of the cluster's DNS",
    _RESOLVE,
    f"{_OF_DNS} get pods {_PODS} -o wide",
    f"{_OF_DNS} logs {_PODS} --tail=50",
    f"{_OF_DNS} describe service kube-dns",
)
NOT_RESOLVED = Remedy("Repeat the query on that host, and correct the name", _RESOLVE)
SERVICE_NOT_RESOLVED = Remedy(
    "Repeat the query on that host, and check that the service exists and has ready endpoints",
    _RESOLVE,
    f"{_OF_SERVICE} get services  # look for {{{{ service }}}}",
    f"{_OF_SERVICE} get endpointslices -l kubernetes.io/service-name={{{{ service }}}}",
)
OTHER_ADDRESSES = Remedy(
    "Repeat the query on that host, and compare the addresses with the service's",
    _RESOLVE,
    f"{_OF_SERVICE} get service {{{{ service }}}} -o wide",
)
SLOW = Remedy("Repeat the query on that host, and find the slow name server", _RESOLVE)


class NamesResolve(InCluster, check="kubernetes.dns"):
    """
    Service names resolve inside the cluster, in time, to the right addresses.

    A resolver that does not answer and a name that does not exist are both violations. The name
    `kubernetes.default.svc`, which exists in every cluster, distinguishes them.
    """

    needs_severity = True
    remedies = (RESOLVER_FAILS, NOT_RESOLVED, SERVICE_NOT_RESOLVED, OTHER_ADDRESSES, SLOW)
    fact_names = InCluster.fact_names | {
        "host_name": "the full name that is not resolved, or resolves wrongly",
        "service": "the service that it names",
        "dns_namespace": "the namespace of the cluster's DNS",
    }
    former_fact_names = InCluster.former_fact_names | {
        "lost_service": Former("service", SERVICE_NOT_RESOLVED),
        "other_service": Former("service", OTHER_ADDRESSES),
        "current_dns_namespace": Former("dns_namespace", without="context"),
    }

    client: HostTarget = Field(alias="from")
    """
    The host that sends the queries, of kind `host`: a pod such as kubectl://web-0?namespace=shop, or local:// where
    opscheck runs in the cluster. Its name server, search list and hosts file apply, as for every program there.
    """
    names: Annotated[tuple[DnsName, ...], Field(min_length=1)]
    """Names that must resolve: services by name (`api`), names up to `svc` (`api.shop.svc`), or full names."""
    namespace: Annotated[Namespace, _IS_ONE] | None = None
    """The namespace of services given by name only; by default that of the target."""
    cluster_domain: DnsName = "cluster.local"
    """The domain of the cluster's names."""
    match_services: bool = True
    """
    Names of services must resolve to the addresses in the API: the service's own, or for a headless service those of
    its ready endpoints. Of these one is enough, as DNS is always a little late.
    """
    latency: Graded[Duration] | None = None
    """Maximum time to resolve a name. A lost packet costs 5s with the settings of most systems."""
    grace: Duration = Duration.parse("1m")
    """Maximum time in which DNS may return old addresses, as caches do."""
    timeout: Timeout | None = Duration.parse("15s")
    """
    Timeout of each query.

    About half is for the name itself. Keep it above the 5s after which a resolver retries. Otherwise one lost packet
    counts as a resolver that does not answer.
    """

    def full_name(self, name: str) -> str:
        """`api.shop.svc.cluster.local` for `api` and `api.shop.svc`; any other name with a dot is already full."""
        if "." not in name:
            return f"{name}.{self.namespace or self.target.namespace}.svc.{self.cluster_domain}"
        return f"{name}.{self.cluster_domain}" if name.endswith(".svc") else name

    @property
    def full_names(self) -> tuple[str, ...]:
        """Every name once, in full."""
        return tuple(dict.fromkeys(self.full_name(name) for name in self.names))

    def resolving(self, full_name: str) -> ResolveName:
        """The query that resolves a name."""
        control = f"kubernetes.default.svc.{self.cluster_domain}"
        return ResolveName(self.client.name, host_name=full_name, control=control)

    def service_of(self, full_name: str) -> tuple[str, str, str] | None:
        """Namespace and name of the service, and a pod's host name or nothing; None for any other name."""
        inside, dot, _ = full_name.rpartition(f".svc.{self.cluster_domain}")
        parts = inside.split(".")
        if not dot or not full_name.endswith(f".svc.{self.cluster_domain}") or len(parts) not in {2, 3}:
            return None
        return parts[-1], parts[-2], parts[0] if len(parts) == 3 else ""  # noqa: PLR2004 - pod, service, namespace

    def lists(self, kind: type[L]) -> tuple[L, ...]:
        """The lists of a kind in the namespaces of the named services, if their addresses are compared."""
        found = (self.service_of(name) for name in self.full_names) if self.match_services else ()
        return tuple(kind(self.target.name, namespace) for namespace in sorted({one[0] for one in found if one}))

    def queries(self) -> Iterable[Query[Any]]:
        """Each name once, and the services and endpoint slices for comparison."""
        names = (self.resolving(name) for name in self.full_names)
        return *names, *self.lists(ListServices), *self.lists(ListEndpointSlices)
