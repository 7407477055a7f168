"""
A Kubernetes API with one busy namespace, and a list of its requests: `python namespace.py KUBECONFIG`.

Three applications with four pods each, three nodes, metrics for all of them, and logs.
"""

import sys
from pathlib import Path
from urllib.parse import urlencode

from control import attend

from opscheck.demo.kubernetes import KubernetesApi, Object, Request, World, node, node_metrics, pod, pod_metrics

NAMESPACE = "shop"
APPLICATIONS = ("api", "worker", "web")
_PODS_EACH = 4
_LINES = 50


def _pods() -> list[Object]:
    limits = {"cpu": "500m", "memory": "512Mi"}
    return [
        pod(f"{application}-7d9f8b6c5-{number}", NAMESPACE, labels={"app": application}, limits=limits)
        for application in APPLICATIONS
        for number in range(_PODS_EACH)
    ]


def _world() -> World:
    pods = _pods()
    nodes = [f"node-{number}" for number in range(1, 4)]
    world = World(*pods, *(node(name) for name in nodes), *(node_metrics(name, "900m", "4Gi") for name in nodes))
    for one in pods:
        name = one["metadata"]["name"]
        world.add(pod_metrics(name, NAMESPACE, labels=one["metadata"]["labels"], app=("120m", "160Mi")))
        world.log(name, *(f"handled request {number} in 12 ms" for number in range(_LINES)), namespace=NAMESPACE)
    return world


def _line(request: Request) -> str:
    return f"{request.method} {request.path}" + (f"?{urlencode(request.query)}" if request.query else "")


def main(kubeconfig: Path) -> None:
    """Serve until the benchmark lets go."""
    with KubernetesApi(_world()) as api:
        api.kubeconfig(kubeconfig, namespace=NAMESPACE)

        def taken() -> list[str]:
            lines = [_line(request) for request in api.requests]
            api.forget_requests()
            return lines

        attend({"url": api.url}, {"requests": taken})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
