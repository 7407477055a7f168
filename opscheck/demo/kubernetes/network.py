"""Services, endpoint slices and ingresses as a cluster reports them."""

import ipaddress
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from opscheck.demo.kubernetes.objects import Object, metadata

Ports = Mapping[str, int]


def service(  # noqa: PLR0913 -- a service has many faces; all but the name have a default
    name: str,
    namespace: str = "default",
    *,
    selector: Mapping[str, str] | None = None,
    ports: Ports | None = None,
    target_ports: Mapping[str, int | str] | None = None,
    kind: str = "ClusterIP",
    cluster_ip: str = "10.96.12.7",
    address: str = "",
    created: datetime | None = None,
    **spec: Any,
) -> Object:
    """
    A service of `ports`, name to number (one alone may have no name).

    selector: `app=<name>` by default, {} for none. cluster_ip: the text `None` is a headless service.
    address: that of its load balancer. `spec`: more fields of the spec, as the API spells them.
    """
    chosen = {"app": name} if selector is None else dict(selector)
    aims = dict(target_ports or {})
    found: Object = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(name, namespace, created=created),
        "spec": {
            "type": kind,
            "clusterIP": cluster_ip,
            "clusterIPs": [cluster_ip],
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster",
            "sessionAffinity": "None",
            "ports": [_port(port, number, aims.get(port, 8080)) for port, number in (ports or {"http": 80}).items()],
        },
        "status": {"loadBalancer": {"ingress": [_ingress(address)]} if address else {}},
    }
    if chosen:
        found["spec"]["selector"] = chosen
    if kind == "ExternalName":
        found["spec"] = {"type": kind, "externalName": "db.example.com", "sessionAffinity": "None"}
    found["spec"] |= spec
    return found


def _port(name: str, number: int, target: int | str) -> Object:
    return ({"name": name} if name else {}) | {"protocol": "TCP", "port": number, "targetPort": target}


def _ingress(address: str) -> Object:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return {"hostname": address}
    return {"ip": address, "ipMode": "VIP"}


def endpoint(  # noqa: PLR0913 -- an endpoint has many faces
    pod: str = "",
    address: str = "10.244.1.7",
    *,
    namespace: str = "default",
    ready: bool | None = True,
    serving: bool | None = None,
    terminating: bool | None = False,
) -> Object:
    """An endpoint, of a pod where one is named. `ready` None leaves it out, as the API allows for true."""
    says = {"ready": ready, "serving": ready if serving is None else serving, "terminating": terminating}
    found: Object = {
        "addresses": [address],
        "conditions": {name: value for name, value in says.items() if value is not None},
    }
    if pod:
        target = {"kind": "Pod", "namespace": namespace, "name": pod, "uid": metadata(pod, namespace)["uid"]}
        found |= {"targetRef": target, "nodeName": "node-1"}
    return found


def endpoint_slice(  # noqa: PLR0913 -- so has a slice of them
    service: str,
    namespace: str = "default",
    *,
    endpoints: Sequence[Object] = (),
    ports: Ports | None = None,
    family: str = "IPv4",
    suffix: str = "x7k2p",
) -> Object:
    """A slice of the endpoints of `service`; `ports` are the service's names and the pods' numbers."""
    found = metadata(
        f"{service}-{suffix}",
        namespace,
        labels={
            "kubernetes.io/service-name": service,
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        },
    )
    named = {"http": 8080} if ports is None else ports
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": found | {"generateName": f"{service}-"},
        "addressType": family,
        "endpoints": [dict(one) for one in endpoints],
        "ports": [{"name": name, "port": number, "protocol": "TCP"} for name, number in named.items()],
    }


def ingress(  # noqa: PLR0913 -- an ingress has many faces; all but the name have a default
    name: str,
    namespace: str = "default",
    *,
    backends: Mapping[str, str] | None = None,
    host: str = "shop.example.com",
    ingress_class: str = "nginx",
    tls: Mapping[str, Sequence[str]] | None = None,
    address: str = "203.0.113.10",
    created: datetime | None = None,
    **spec: Any,
) -> Object:
    """
    An ingress of one host.

    backends: path to `service:port`, the port by name or number. tls: secret to hosts, "" for the controller's own
    certificate. ingress_class: "" names none. address: "" is one that no controller has taken.
    """
    paths = [
        {"path": path, "pathType": "Prefix", "backend": backend(to)}
        for path, to in ({"/": f"{name}:http"} if backends is None else backends).items()
    ]
    found: Object = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": metadata(name, namespace, created=created),
        "spec": {"rules": [{"host": host, "http": {"paths": paths}}]},
        "status": {"loadBalancer": {"ingress": [_ingress(address)]} if address else {}},
    }
    if ingress_class:
        found["spec"]["ingressClassName"] = ingress_class
    if tls:
        found["spec"]["tls"] = [
            ({"secretName": secret} if secret else {}) | {"hosts": list(hosts)} for secret, hosts in tls.items()
        ]
    found["spec"] |= spec
    return found


def backend(to: str) -> Object:
    """An ingress's backend: `api:http` or `api:80`."""
    name, _, port = to.partition(":")
    return {"service": {"name": name, "port": {"number": int(port)} if port.isdigit() else {"name": port}}}


def ingress_class(name: str, *, default: bool = False) -> Object:
    """An ingress class."""
    annotations = {"ingressclass.kubernetes.io/is-default-class": "true"} if default else None
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": metadata(name, annotations=annotations),
        "spec": {"controller": f"example.com/{name}"},
    }


def secret(name: str, namespace: str = "default", **data: str) -> Object:
    """A secret with a certificate; its `data` must never be requested."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata(name, namespace),
        "type": "kubernetes.io/tls",
        "data": data or {"tls.crt": "LS0t", "tls.key": "c2VjcmV0"},
    }
