"""
A Kubernetes API with many pods: `python pods.py 5000 7800 ready KUBECONFIG`.

The arguments: the number of pods, the bytes of each, the way they are served, and the kubeconfig to write.
`fresh`: as an API server does, each page is encoded and compressed on request.
`ready`: encoded at the first request, so that after a warm-up the server only sends bytes.
"""

import gzip
import json
import sys
from functools import cache
from pathlib import Path

from control import attend

from opscheck.demo.kubernetes import KubernetesApi, Object, World, many_pods
from opscheck.demo.kubernetes.scripts import Honest
from opscheck.demo.serving import Exchange, Response

NAMESPACE = "load"
_PATH = f"/api/v1/namespaces/{NAMESPACE}/pods"
_LEVEL = 1  # the level of the real API server


class Pages:
    """Every pod, cut into pages of any size."""

    def __init__(self, pods: list[Object]) -> None:
        self._pods = pods
        self.page = cache(self._encode)

    def script(self, exchange: Exchange, _honest: Honest) -> None:
        """Answer one LIST with bytes that lie ready."""
        query = exchange.request.query
        zipped = "gzip" in exchange.request.headers.get("accept-encoding", "")
        exchange.write(self.page(int(query.get("continue") or 0), int(query.get("limit") or 0), zipped))

    @property
    def total_bytes(self) -> int:
        """The size of all pods as JSON, in pages of 500."""
        return sum(len(self._body(start, 500)) for start in range(0, len(self._pods), 500))

    def _encode(self, start: int, limit: int, zipped: bool) -> bytes:
        body = self._body(start, limit)
        if not zipped:
            return Response(body=body).head() + body
        small = gzip.compress(body, _LEVEL)
        return Response(body=small, headers={"Content-Encoding": "gzip"}).head() + small

    def _body(self, start: int, limit: int) -> bytes:
        end = start + limit if limit else len(self._pods)
        listed = {"resourceVersion": "1000"}
        if end < len(self._pods):
            listed["continue"] = str(end)
        items = [{key: pod[key] for key in ("metadata", "spec", "status")} for pod in self._pods[start:end]]
        page = {"kind": "PodList", "apiVersion": "v1", "metadata": listed, "items": items}
        return json.dumps(page, separators=(",", ":")).encode()


def main(count: int, size: int, manner: str, kubeconfig: Path) -> None:
    """Serve until the benchmark lets go."""
    pods = many_pods(count, NAMESPACE, padding=size, containers=("app", "proxy"), labels={"app": "load"})
    pages = Pages(pods)
    with KubernetesApi(World(*pods)) as api:
        if manner == "ready":
            api.answer(_PATH, pages.script)
        api.kubeconfig(kubeconfig, namespace=NAMESPACE)
        place = {"url": api.url, "token": api.token, "path": _PATH, "bytes": pages.total_bytes}
        attend(place, {"encodings": lambda: [request.headers.get("accept-encoding", "") for request in api.requests]})


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
