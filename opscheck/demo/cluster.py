"""The demo's Kubernetes cluster: the objects of `integration-deployment`, and their faults."""

import secrets
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from opscheck.demo.backup_jobs import backup_jobs
from opscheck.demo.kubernetes import (
    LogLine,
    Object,
    World,
    autoscaler,
    certificate,
    claim,
    deployment,
    disruption_budget,
    endpoint,
    endpoint_slice,
    event,
    ingress,
    ingress_class,
    issuer,
    mounting,
    namespace,
    node,
    node_metrics,
    pod,
    pod_metrics,
    quota,
    service,
    stateful_set,
    storage_class,
    timestamp,
)

NAMESPACE = APPLICATION = "integration-deployment"
NODES = ("node-1", "node-2", "node-3")
PODS = tuple(f"{APPLICATION}-7d4b9c6f5d-{suffix}" for suffix in ("2xkqp", "8htzw", "vn5rd"))
OVERLOADED = NODES[1]

_LABELS = {"app": APPLICATION, "pod-template-hash": "7d4b9c6f5d"}
_REQUESTS = {"cpu": "100m", "memory": "256Mi"}
_LIMITS = {"cpu": "500m", "memory": "512Mi"}
_ROUTINE = (
    "INFO started workflow wf-{number:05d}",
    "INFO workflow wf-{number:05d} completed in 412 ms",
    "INFO GET /v1/orchestration/workflows 200 18 ms",
    "DEBUG connection pool: 4 of 10 in use",
    "WARNING slow query: 1204 ms",
)
_LOG_REACHES_BACK = timedelta(hours=24)
_ORDINARY_ERRORS = 2
_ERRORS_IN_THE_FAULT = 360


def build(now: datetime | None = None) -> World:
    """The cluster as it should be. now: when its newest backup was begun."""
    world = World(namespace(NAMESPACE), *_nodes(), _rollout(), *_events())
    world.add(*_application(), *_data_stores(), *_ways_in(), *_limits())
    world.add(*backup_jobs(NAMESPACE, now or datetime.now(UTC)))
    for name in PODS:
        world.log(name, *_ordinary_log(), namespace=NAMESPACE)
    return world


def _nodes() -> Iterator[Object]:
    usage = {"node-1": ("1480m", "7120Mi"), "node-2": ("912450000n", "6033Mi"), "node-3": ("640m", "4800Mi")}
    for name in NODES:
        yield node(name)
        yield node_metrics(name, *usage[name])


def _rollout(**fields: Any) -> Object:
    return deployment(APPLICATION, NAMESPACE, labels={"app": APPLICATION}, **fields)


def _application() -> Iterator[Object]:
    for index, name in enumerate(PODS):
        yield pod(name, NAMESPACE, labels=_LABELS, node=NODES[index], requests=_REQUESTS, limits=_LIMITS, padding=5000)
        yield pod_metrics(name, NAMESPACE, labels=_LABELS, app=(f"{118 + 9 * index}m", f"{201 + 14 * index}Mi"))


def _data_stores() -> Iterator[Object]:
    for kind, limit in (("postgres", "4Gi"), ("redis", "1Gi")):
        name, labels, owner = f"{kind}-0", {"app": kind}, f"StatefulSet/{kind}"
        yield stateful_set(kind, NAMESPACE, replicas=1, labels=labels)
        made = pod(name, NAMESPACE, labels=labels, owner=owner, requests=_REQUESTS, limits={"memory": limit})
        yield mounting(made, f"data-{name}")
        yield claim(f"data-{name}", NAMESPACE, labels=labels)
        yield pod_metrics(name, NAMESPACE, labels=labels, app=("60m", "300Mi"))


def _ways_in() -> Iterator[Object]:
    ready = [endpoint(name, f"10.244.1.{number}", namespace=NAMESPACE) for number, name in enumerate(PODS, start=11)]
    yield service(APPLICATION, NAMESPACE)
    yield endpoint_slice(APPLICATION, NAMESPACE, endpoints=ready)
    for kind in ("postgres", "redis"):
        yield service(kind, NAMESPACE)
        yield endpoint_slice(kind, NAMESPACE, endpoints=[endpoint(f"{kind}-0", namespace=NAMESPACE)])
    yield ingress_class("nginx")
    yield ingress(APPLICATION, NAMESPACE, host="api.integration-deployment.com")
    yield issuer()
    yield certificate(APPLICATION, NAMESPACE)


def _limits() -> Iterator[Object]:
    yield storage_class()
    yield autoscaler(APPLICATION, NAMESPACE, limited="TooFewReplicas", minimum=3)
    yield disruption_budget(APPLICATION, NAMESPACE)
    yield quota(
        "everything", NAMESPACE, hard={"pods": "50", "requests.cpu": "20"}, used={"pods": "6", "requests.cpu": "500m"}
    )


def _events() -> Iterator[Object]:
    about = f"Pod/{PODS[0]}"
    ago = datetime.now(UTC) - timedelta(minutes=40)
    yield event(
        "pulled", NAMESPACE, about=about, reason="Pulled", message="Container image already present on machine", at=ago
    )
    message = "Readiness probe failed: HTTP probe failed with statuscode: 503"
    yield event("unhealthy", NAMESPACE, about=about, reason="Unhealthy", message=message, kind="Warning", at=ago)


def _ordinary_log() -> Iterator[LogLine]:
    now = datetime.now(UTC)
    step = timedelta(minutes=10)
    for number in range(_LOG_REACHES_BACK // step):
        text = _ROUTINE[number % len(_ROUTINE)].format(number=number)
        yield LogLine(now - _LOG_REACHES_BACK + number * step + timedelta(seconds=30), text)
    for number in range(1, _ORDINARY_ERRORS + 1):
        yield LogLine(now - timedelta(hours=5 * number), f"ERROR workflow wf-{number:05d} failed: timed out")


def break_pods(world: World) -> None:
    """One pod crashes again and again, another cannot pull its image; both for longer than any grace."""
    now = datetime.now(UTC)
    crashing, pulling = PODS[0], PODS[1]
    back_off = f"back-off 5m0s restarting failed container=app pod={crashing}_{NAMESPACE}"
    wrong = "registry.example.com/app:1.4.3-rc1"
    pull = f'Back-off pulling image "{wrong}": ErrImagePull: not found'
    since = now - timedelta(minutes=40)
    world.add(
        pod(
            crashing,
            NAMESPACE,
            labels=_LABELS,
            requests=_REQUESTS,
            limits=_LIMITS,
            restarts=7,
            waiting="CrashLoopBackOff",
            message=back_off,
            terminated=now - timedelta(minutes=3),
            since=since,
        ),
        pod(
            pulling,
            NAMESPACE,
            labels=_LABELS,
            requests=_REQUESTS,
            limits=_LIMITS,
            phase="Pending",
            node=NODES[1],
            image=wrong,
            waiting="ImagePullBackOff",
            message=pull,
            created=since,
            since=since,
        ),
        _rollout(available=1, since=since),
        event("backoff", NAMESPACE, about=f"Pod/{crashing}", reason="BackOff", message=back_off, kind="Warning"),
        event("failed", NAMESPACE, about=f"Pod/{pulling}", reason="Failed", message=pull, kind="Warning"),
    )
    for name in (crashing, pulling):  # metrics-server reports running pods only
        world.remove("PodMetrics", name, NAMESPACE)


def repair_pods(world: World) -> None:
    """All three run again, as if they had always done."""
    world.add(*_application(), _rollout())
    for name in ("backoff", "failed"):
        world.remove("Event", name, NAMESPACE)


def overload_node(world: World) -> None:
    """One node uses 97 % of its CPU."""
    world.add(node_metrics(OVERLOADED, "3880000000n", "6033Mi"))


def relieve_node(world: World) -> None:
    """All nodes have room again."""
    world.add(*(found for found in _nodes() if found["kind"] == "NodeMetrics"))


def write_errors(world: World) -> None:
    """Hundreds of error lines in the last two hours; some of them log a secret, as real ones do."""
    now = datetime.now(UTC)
    for number in range(_ERRORS_IN_THE_FAULT):
        at = now - timedelta(seconds=20 * number)
        text = f"ERROR workflow wf-{number:05d} failed: upstream answered 401"
        if number % 40 == 0:
            text += f" to Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.{secrets.token_urlsafe(32)}"
        world.log(PODS[-1], LogLine(at, text), namespace=NAMESPACE)


def erase_errors(world: World) -> None:
    """The log as it was."""
    world.clear_log(PODS[-1], NAMESPACE)
    world.log(PODS[-1], *_ordinary_log(), namespace=NAMESPACE)


class MetricsServer:
    """Measures every 15 seconds, so that metrics stay recent while the demo is held."""

    def __init__(self, world: World, *, every: float = 15.0) -> None:
        self._world = world
        self._every = every
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._measure, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop measuring. May be called twice."""
        self._stopping.set()
        self._thread.join(5.0)

    def _measure(self) -> None:
        measured = [resource for resource in self._world.resources if resource.group == "metrics.k8s.io"]
        while not self._stopping.wait(self._every):
            with self._world.changing():
                now = timestamp(datetime.now(UTC))
                for resource in measured:
                    for found in self._world.select(resource):
                        found["timestamp"] = now
