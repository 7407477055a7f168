"""A healthy namespace of fifty workloads, with everything in it that tools tend to take for trouble."""

from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]

NAMESPACE = "shop"
NODES = ("worker-1", "worker-2", "worker-3", "worker-4")
CORDONED = "worker-4"
IMAGE = "registry.example.com:5000/shop/app:1.4.2"
NEVER = "0 0 29 2 *"  # of a leap year

DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS, JOBS, CRON_JOBS = 24, 10, 4, 6, 6
"""Fifty together."""

_RESOURCES = {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}}


def cluster() -> Iterator[Object]:
    """What belongs to no namespace."""
    for name in NODES:
        yield named("v1", "Node", name, labels={"kubernetes.io/hostname": name, "kubelet": "kwok"}) | {
            "spec": {"unschedulable": name == CORDONED}
        }
    yield named("v1", "Namespace", NAMESPACE)
    yield named("storage.k8s.io/v1", "StorageClass", "on-demand") | {
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    yield named("storage.k8s.io/v1", "StorageClass", "at-once") | {
        "provisioner": "nobody.example.com/none",
        "volumeBindingMode": "Immediate",
    }
    yield named("networking.k8s.io/v1", "IngressClass", "front") | {"spec": {"controller": "example.com/front"}}
    yield named("v1", "PersistentVolume", "disk-1") | {
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "by-hand",
            "hostPath": {"path": "/tmp/disk-1"},  # noqa: S108 - nobody mounts it
        }
    }


def workloads() -> Iterator[Object]:
    """Fifty of every kind."""
    for number in range(DEPLOYMENTS):
        yield deployment(f"web-{number:02d}", replicas=0 if number == 1 else 2)
    for number in range(STATEFUL_SETS):
        yield stateful_set(f"store-{number:02d}")
    for number in range(DAEMON_SETS):
        yield daemon_set(f"agent-{number:02d}")
    for number in range(JOBS):
        yield job(f"migrate-{number:02d}")
    for number in range(CRON_JOBS):
        yield cron_job(f"nightly-{number:02d}", suspend=number == 0)


def beside_them() -> Iterator[Object]:
    """Services, ingresses, claims, budgets, quotas."""
    for number in range(DEPLOYMENTS):
        yield service(f"web-{number:02d}")
    for number in range(STATEFUL_SETS):
        yield service(f"store-{number:02d}", clusterIP="None")
    yield named("v1", "Service", "elsewhere", NAMESPACE) | {
        "spec": {"type": "ExternalName", "externalName": "db.example.com"}
    }
    yield ingress("front", service="web-00")
    yield claim("bound", storageClassName="by-hand", volumeName="disk-1")
    yield claim("waits-for-its-first-consumer", storageClassName="on-demand")
    yield budget("web-00")
    yield autoscaler("web-00")
    yield quota("enough", {"count/configmaps": "100", "requests.cpu": "100", "limits.example.com/none": "0"})


def deployment(name: str, *, replicas: int = 2, fault: str = "", **spec: Any) -> Object:
    """A deployment with an init container and a native sidecar; `fault` is the label that says how its pods fail."""
    more = {"replicas": replicas, "progressDeadlineSeconds": 600} | spec
    return _controlled("Deployment", name, fault, **more)


def stateful_set(name: str, *, replicas: int = 2, fault: str = "", **spec: Any) -> Object:
    """A stateful set."""
    return _controlled("StatefulSet", name, fault, replicas=replicas, serviceName=name, **spec)


def daemon_set(name: str, *, fault: str = "", **spec: Any) -> Object:
    """A daemon set."""
    return _controlled("DaemonSet", name, fault, **spec)


def job(name: str, *, fault: str = "", **spec: Any) -> Object:
    """A job that runs once."""
    template = pod_template({"job": name}, fault) | {}
    template["spec"]["restartPolicy"] = "Never"
    return named("batch/v1", "Job", name, NAMESPACE) | {"spec": {"backoffLimit": 0, "template": template} | spec}


def cron_job(name: str, *, suspend: bool = False, schedule: str = NEVER, **spec: Any) -> Object:
    """A cron job that has never had to run yet."""
    made = job(name)["spec"]
    return named("batch/v1", "CronJob", name, NAMESPACE) | {
        "spec": {"schedule": schedule, "suspend": suspend, "jobTemplate": {"spec": made}} | spec
    }


def pod(name: str, *, fault: str = "", labels: dict[str, str] | None = None, **metadata: Any) -> Object:
    """A pod nobody controls."""
    template = pod_template({"app": name} | (labels or {}), fault)
    found = named("v1", "Pod", name, NAMESPACE)
    found["metadata"] |= template["metadata"] | metadata
    return found | {"spec": template["spec"]}


def pod_template(labels: dict[str, str], fault: str = "", **container: Any) -> Object:
    """Pods with an init container, a native sidecar and one that works."""
    app = {"name": "app", "image": IMAGE, "resources": _RESOURCES, "ports": [{"name": "http", "containerPort": 8080}]}
    return {
        "metadata": {"labels": labels | ({"fault": fault} if fault else {})},
        "spec": {
            "initContainers": [
                {"name": "prepare", "image": IMAGE, "resources": _RESOURCES},
                {"name": "proxy", "image": IMAGE, "resources": _RESOURCES, "restartPolicy": "Always"},
            ],
            "containers": [app | container],
        },
    }


def service(name: str, *, app: str = "", **spec: Any) -> Object:
    """A service in front of the pods with the label `app`."""
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    return named("v1", "Service", name, NAMESPACE) | {"spec": {"selector": {"app": app or name}, "ports": ports} | spec}


def ingress(name: str, *, service: str) -> Object:
    """An ingress with one path."""
    backend = {"service": {"name": service, "port": {"name": "http"}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    return named("networking.k8s.io/v1", "Ingress", name, NAMESPACE) | {
        "spec": {"ingressClassName": "front", "rules": [{"host": f"{name}.example.com", "http": {"paths": [path]}}]}
    }


def claim(name: str, **spec: Any) -> Object:
    """A claim of one gibibyte."""
    asked = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return named("v1", "PersistentVolumeClaim", name, NAMESPACE) | {"spec": asked | spec}


def budget(name: str, **spec: Any) -> Object:
    """A disruption budget for the pods with the label `app`."""
    chosen = {"selector": {"matchLabels": {"app": name}}, "maxUnavailable": 1}
    return named("policy/v1", "PodDisruptionBudget", name, NAMESPACE) | {"spec": chosen | spec}


def autoscaler(name: str, *, least: int = 2, most: int = 10) -> Object:
    """An autoscaler of the deployment of that name."""
    metric = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
    }
    return named("autoscaling/v2", "HorizontalPodAutoscaler", name, NAMESPACE) | {
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": least,
            "maxReplicas": most,
            "metrics": [metric],
        }
    }


def quota(name: str, hard: dict[str, str]) -> Object:
    """A quota of the namespace."""
    return named("v1", "ResourceQuota", name, NAMESPACE) | {"spec": {"hard": hard}}


def named(api_version: str, kind: str, name: str, namespace: str = "", labels: dict[str, str] | None = None) -> Object:
    """The beginning of any object."""
    metadata: Object = {"name": name}
    metadata |= {"namespace": namespace} if namespace else {}
    metadata |= {"labels": labels} if labels else {}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def _controlled(kind: str, name: str, fault: str, **spec: Any) -> Object:
    labels = {"app": name}
    return named("apps/v1", kind, name, NAMESPACE) | {
        "spec": {"selector": {"matchLabels": labels}, "template": pod_template(labels, fault)} | spec
    }
