"""Objects as people write them: what a real API server fills in is left to it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from opscheck.demo import kubernetes

Object = dict[str, Any]

IMAGE = "registry.example.com/app:1.4.2"
_RESOURCES = {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "100m", "memory": "64Mi"}}


def ago(seconds: float) -> str:
    """A time that many seconds before now, as objects spell it; negative is still to come."""
    return (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def made(kind: str, name: str, namespace: str | None = None, version: str = "v1", **fields: Any) -> Object:
    """Any object; `labels` and `annotations` go into its metadata, the other fields are its own."""
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    metadata |= {key: fields.pop(key) for key in ("labels", "annotations") if key in fields}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}


def template(name: str, *, fault: str = "", restart: str = "Always", **spec: Any) -> Object:
    """A pod template labelled `app=name`. `fault` says how kwok lets its pods go wrong (see stages/)."""
    container = {"name": "app", "image": IMAGE, "resources": _RESOURCES}
    metadata: Object = {"labels": {"app": name} | ({"fault": fault} if fault else {})}
    return {"metadata": metadata, "spec": {"containers": [container], "restartPolicy": restart, **spec}}


def pod(name: str, namespace: str, *, app: str = "", **spec: Any) -> Object:
    """A pod that nobody controls."""
    made_of = template(app or name, **spec)
    return made("Pod", name, namespace, labels=made_of["metadata"]["labels"], spec=made_of["spec"])


def deployment(name: str, namespace: str, replicas: int = 1, *, fault: str = "", **spec: Any) -> Object:
    """A deployment of pods with the label `app=name`."""
    return _workload("Deployment", name, namespace, {"replicas": replicas, **spec}, fault)


def stateful_set(name: str, namespace: str, replicas: int = 1, *, fault: str = "", **spec: Any) -> Object:
    """A stateful set."""
    return _workload("StatefulSet", name, namespace, {"replicas": replicas, "serviceName": name, **spec}, fault)


def daemon_set(name: str, namespace: str, *, fault: str = "", **spec: Any) -> Object:
    """A daemon set."""
    return _workload("DaemonSet", name, namespace, spec, fault)


def _workload(kind: str, name: str, namespace: str, spec: Object, fault: str) -> Object:
    selector = {"matchLabels": {"app": name}}
    spec = {"selector": selector, "template": template(name, fault=fault), **spec}
    return made(kind, name, namespace, "apps/v1", labels={"app": name}, spec=spec)


def job(name: str, namespace: str, *, fault: str = "", **spec: Any) -> Object:
    """A job of one pod."""
    return made("Job", name, namespace, "batch/v1", spec=_job_spec(name, fault) | spec)


def _job_spec(name: str, fault: str) -> Object:
    return {"backoffLimit": 0, "template": template(name, fault=fault, restart="Never")}


def cron_job(name: str, namespace: str, schedule: str, *, fault: str = "", **spec: Any) -> Object:
    """A cron job."""
    spec = {"schedule": schedule, "jobTemplate": {"spec": _job_spec(name, fault)}, **spec}
    return made("CronJob", name, namespace, "batch/v1", spec=spec)


def service(name: str, namespace: str, *, app: str = "", **spec: Any) -> Object:
    """A service for the pods of an app."""
    spec = {"selector": {"app": app or name}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}], **spec}
    return made("Service", name, namespace, labels={"app": app or name}, spec=spec)


def ingress(name: str, namespace: str, *, backend: str = "", **spec: Any) -> Object:
    """An ingress to the port `http` of a service."""
    to = {"service": {"name": backend or name, "port": {"name": "http"}}}
    rule = {"host": f"{name}.example.com", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": to}]}}
    spec = {"ingressClassName": "web", "rules": [rule], **spec}
    return made("Ingress", name, namespace, "networking.k8s.io/v1", spec=spec)


def endpoint_slice(name: str, namespace: str, *, ready: bool = True) -> Object:
    """The one endpoint of a service."""
    endpoint = {"addresses": ["10.1.2.3"], "conditions": {"ready": ready}}
    labels = {"kubernetes.io/service-name": name}
    ports = [{"name": "http", "port": 8080, "protocol": "TCP"}]
    fields = {"addressType": "IPv4", "endpoints": [endpoint], "ports": ports, "labels": labels}
    return made("EndpointSlice", f"{name}-abcde", namespace, "discovery.k8s.io/v1", **fields)


def autoscaler(name: str, namespace: str, least: int = 1, most: int = 3) -> Object:
    """A horizontal pod autoscaler of the deployment of its name."""
    metric = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}
    to = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    spec = {"minReplicas": least, "maxReplicas": most, "scaleTargetRef": to}
    spec["metrics"] = [{"type": "Resource", "resource": metric}]
    return made("HorizontalPodAutoscaler", name, namespace, "autoscaling/v2", spec=spec)


def budget(name: str, namespace: str, **spec: Any) -> Object:
    """A pod disruption budget for the pods of an app."""
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": {"app": name}}, **spec}
    return made("PodDisruptionBudget", name, namespace, "policy/v1", spec=spec)


def quota(name: str, namespace: str, **hard: str) -> Object:
    """A resource quota."""
    return made("ResourceQuota", name, namespace, spec={"hard": hard})


def claim(name: str, namespace: str, storage_class: str) -> Object:
    """A claim for a volume of a class."""
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": storage_class,
    }
    return made("PersistentVolumeClaim", name, namespace, spec=spec)


def storage_class(name: str, binding: str = "WaitForFirstConsumer") -> Object:
    """A class of volumes that nobody provisions."""
    fields = {"provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": binding}
    return made("StorageClass", name, None, "storage.k8s.io/v1", **fields)


def volume(name: str, storage: str) -> Object:
    """A volume of a class, on some disk."""
    spec = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "storageClassName": storage}
    spec |= {"hostPath": {"path": f"/srv/{name}"}, "persistentVolumeReclaimPolicy": "Retain"}
    return made("PersistentVolume", name, spec=spec)


def node(name: str, cpu: str = "8", memory: str = "16Gi", version: str = "v1.36.3") -> Object:
    """A node that kwok makes ready."""
    room = {"cpu": cpu, "memory": memory, "pods": "110"}
    status = {"allocatable": room, "capacity": dict(room), "nodeInfo": {"kubeletVersion": version}}
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    return made("Node", name, labels=labels, status=status)


def warning(namespace: str, about: str, reason: str, message: str) -> Object:
    """A Warning event about `Kind/name`."""
    kind, _, name = about.partition("/")
    subject = {"kind": kind, "name": name, "namespace": namespace, "apiVersion": "v1"}
    fields = {"involvedObject": subject, "reason": reason, "message": message, "type": "Warning", "count": 1}
    fields |= {"lastTimestamp": ago(5), "firstTimestamp": ago(5), "source": {"component": "tests"}}
    return made("Event", f"{name}.{reason.lower()}", namespace, **fields)


def pod_metrics(name: str, namespace: str, cpu: str = "5m", memory: str = "10Mi") -> Object:
    """What metrics-server measured of a pod."""
    containers = [{"name": "app", "usage": {"cpu": cpu, "memory": memory}}]
    fields = {"timestamp": ago(1), "window": "15s", "containers": containers}
    return made("PodMetrics", name, namespace, "metrics.k8s.io/v1beta1", **fields)


def node_metrics(name: str, cpu: str = "500m", memory: str = "1Gi") -> Object:
    """What metrics-server measured of a node."""
    fields = {"timestamp": ago(1), "window": "15s", "usage": {"cpu": cpu, "memory": memory}}
    return made("NodeMetrics", name, None, "metrics.k8s.io/v1beta1", **fields)


def measurable() -> list[Object]:
    """Definitions that serve metrics.k8s.io as metrics-server does, from what is stored."""
    return [_definition("pods", "PodMetrics", "Namespaced"), _definition("nodes", "NodeMetrics", "Cluster")]


def _definition(plural: str, kind: str, scope: str) -> Object:
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1beta1", "served": True, "storage": True, "schema": {"openAPIV3Schema": anything}}
    names = {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"}
    spec = {"group": "metrics.k8s.io", "scope": scope, "names": names, "versions": [version]}
    # Groups under k8s.io are Kubernetes' own; this word allows one that is none.
    approved = {"api-approved.kubernetes.io": "unapproved, for tests"}
    name = f"{plural}.metrics.k8s.io"
    version_of = "apiextensions.k8s.io/v1"
    return made("CustomResourceDefinition", name, None, version_of, annotations=approved, spec=spec)


def namespace(name: str) -> Object:
    """A namespace."""
    return made("Namespace", name)


def one_of_each(where: str) -> list[Object]:
    """One object of every kind that opscheck reads, in a namespace of that name or in none."""
    return [
        *(namespace(where), storage_class("local"), volume("disk", "local"), node("node-1")),
        made("IngressClass", "web", None, "networking.k8s.io/v1", spec={"controller": "example.com/web"}),
        pod("web-1", where, app="web"),
        warning(where, "Pod/web-1", "Unhealthy", "Readiness probe failed: HTTP 503"),
        *(service("web", where), endpoint_slice("web", where), ingress("web", where)),
        made("Secret", "tls", where, type="Opaque", stringData={"key": "planted-secret"}),
        *(deployment("web", where), stateful_set("db", where), daemon_set("agent", where)),
        _workload("ReplicaSet", "web-5d4f8c7b9d", where, {"replicas": 1}, ""),
        *(job("migrate", where), cron_job("report", where, "0 3 * * *"), autoscaler("web", where)),
        *(budget("web", where), quota("all", where, pods="100"), claim("data", where, "local")),
        *(pod_metrics("web-1", where), node_metrics("node-1")),
    ]


def one_of_each_custom(where: str) -> list[Object]:
    """One object of every kind that opscheck reads and others define; see `tests.cluster.crds`."""
    return [
        *(kubernetes.certificate("api", where), kubernetes.issuer(), kubernetes.issuer("mine", where)),
        kubernetes.certificate_request("api-1", where, of="api"),
        kubernetes.order("api-1-2", where, of="api-1"),
        kubernetes.challenge("api-1-2-3", where, of="api-1-2", host="api.example.com", reason="got status 404"),
        kubernetes.tls_secret("api-tls", where, pem=b"no certificate"),
    ]
