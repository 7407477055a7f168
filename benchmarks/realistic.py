"""Pods as a real workload has them: two containers, environment, probes, volumes, and a complete status."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

Object = dict[str, Any]

_REPLICAS = 20
_NODES = 200
_OLDEST = timedelta(days=60)
_SCATTERED = 0.6180339887  # so that hardly any two pods started together
_VARIABLES = ("LOG_LEVEL", "CACHE_URL")


def pod(number: int) -> Object:
    """The pod with that number, as it is created: one of twenty replicas of its deployment."""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": _metadata(number), "spec": _spec(number)}


def _workload(number: int) -> str:
    return f"orders-service-{number // _REPLICAS:04d}"


def _hash(number: int) -> str:
    return f"{0x7D9F8B6C5 + number // _REPLICAS:x}"


def _metadata(number: int) -> Object:
    workload, template = _workload(number), _hash(number)
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"{workload}-{template}"}
    owner |= {"uid": f"00000000-0000-4000-8000-{number // _REPLICAS:012x}"}
    return {
        "name": f"{workload}-{template}-{number:05x}",
        "labels": {
            "app.kubernetes.io/name": workload,
            "app.kubernetes.io/version": "1.4.2",
            "load": "yes",
            "pod-template-hash": template,
        },
        "annotations": {
            "checksum/config": _digest(workload),
            "prometheus.io/scrape": "true",
        },
        "ownerReferences": [owner | {"controller": True, "blockOwnerDeletion": True}],
    }


def _spec(number: int) -> Object:
    workload = _workload(number)
    return {
        "nodeName": f"node-{number % _NODES:03d}",
        "serviceAccountName": workload,
        "containers": [
            _container("app", f"registry.example.com/orders/{workload}:1.4.2", 8080, _environment(workload)),
            _container("proxy", "registry.example.com/mesh/proxy:1.21.0", 15090, []),
        ],
        "volumes": [
            {"name": "config", "configMap": {"name": f"{workload}-config"}},
            {"name": "kube-api-access", "projected": {"sources": _account_sources()}},
        ],
        "tolerations": [
            {"key": f"node.kubernetes.io/{trouble}", "operator": "Exists", "effect": "NoExecute"}
            | {"tolerationSeconds": 300}
            for trouble in ("not-ready", "unreachable")
        ],
    }


def _container(name: str, image: str, port: int, environment: list[Object]) -> Object:
    def probe(path: str, period: int) -> Object:
        return {"httpGet": {"path": path, "port": port}, "periodSeconds": period}

    return {
        "name": name,
        "image": image,
        "ports": [{"name": f"http-{name}", "containerPort": port}],
        "env": environment,
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}},
        "livenessProbe": probe("/live", 10),
        "readinessProbe": probe("/ready", 5),
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/app", "readOnly": True},
            {"name": "kube-api-access", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": True},
        ],
    }


def _environment(workload: str) -> list[Object]:
    address = {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
    values = [{"name": name, "value": f"{name.lower()}-of-{workload}"} for name in _VARIABLES]
    password = {"name": "DATABASE_PASSWORD", "valueFrom": {"secretKeyRef": {"name": workload, "key": "password"}}}
    return [*values, password, address]


def _account_sources() -> list[Object]:
    return [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
    ]


def status(number: int) -> Object:
    """The status that the kubelet reports for a healthy pod."""
    started = datetime.now(UTC) - _OLDEST * (number * _SCATTERED % 1)
    placed, initialized, ready = (_time(started + timedelta(seconds=after)) for after in (0, 3, 21))
    since = {"PodReadyToStartContainers": initialized, "Initialized": initialized, "Ready": ready}
    since |= {"ContainersReady": ready, "PodScheduled": placed}
    address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    image = f"registry.example.com/orders/{_workload(number)}"
    return {
        "phase": "Running",
        "conditions": [
            {"type": kind, "status": "True", "lastTransitionTime": moment, "observedGeneration": 1}
            for kind, moment in since.items()
        ],
        "hostIP": f"172.16.0.{number % _NODES}",
        "hostIPs": [{"ip": f"172.16.0.{number % _NODES}"}],
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": placed,
        "containerStatuses": [
            _container_status("app", f"{image}:1.4.2", ready, number),
            _container_status("proxy", "registry.example.com/mesh/proxy:1.21.0", ready, number),
        ],
        "observedGeneration": 1,
    }


def _container_status(name: str, image: str, ready: str, number: int) -> Object:
    return {
        "name": name,
        "image": image,
        "imageID": f"{image.rpartition(':')[0]}@sha256:{_digest(image)}",
        "containerID": f"containerd://{_digest(f'{name} {number}')}",
        "ready": True,
        "started": True,
        "restartCount": 0,
        "state": {"running": {"startedAt": ready}},
        "lastState": {},
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}},
        "allocatedResources": {"cpu": "100m", "memory": "128Mi"},
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
