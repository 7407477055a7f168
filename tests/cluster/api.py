"""The Kubernetes API as a test speaks it: plain HTTP and plain JSON, by a client that is not the probe's."""

import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx

from opscheck.transport.processes import wait_until

Object = dict[str, Any]

MANAGER = "opscheck-tests"
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
# What the server alone decides. Builders of objects fill it in, for a server that decides nothing.
_OF_THE_SERVER = ("uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")


class Api:
    """One API server, asked with one token."""

    def __init__(self, url: str, authority: Path, token: str) -> None:
        trust = ssl.create_default_context(cafile=str(authority))
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.client = httpx.Client(base_url=url, verify=trust, headers=headers, timeout=30, trust_env=False)
        self._places: dict[tuple[str, str], tuple[str, bool]] = {}

    def close(self) -> None:
        """Close its connections."""
        self.client.close()

    def apply(self, *objects: Object) -> None:
        """Make each object as it is given (`kubectl apply --server-side`), its status too where it has one."""
        for item in objects:
            path = self.path(item)
            parameters = {"fieldManager": MANAGER, "force": "true"}
            wanted = {key: value for key, value in item.items() if key != "status"}
            wanted["metadata"] = {k: v for k, v in item["metadata"].items() if k not in _OF_THE_SERVER}
            self._good(self.client.patch(path, params=parameters, json=wanted, headers={"Content-Type": _APPLY}))
            if item.get("status"):
                self.patch_status(item, item["status"])

    def create(self, item: Object) -> Object:
        """POST one object, and return what became of it."""
        path = self.path(item).rpartition("/")[0]
        found: Object = self._good(self.client.post(path, json=item)).json()
        return found

    def patch(self, item: Object, changes: Object) -> None:
        """Merge changes into an object that is there."""
        self._merge(self.path(item), changes)

    def patch_status(self, item: Object, status: Object) -> None:
        """Merge into the status of an object that is there, which no controller then has to make."""
        self._merge(f"{self.path(item)}/status", {"status": status})

    def get(self, item: Object) -> Object:
        """The object as it is there now."""
        found: Object = self._good(self.client.get(self.path(item))).json()
        return found

    def delete(self, item: Object, *, grace_s: int | None = None) -> None:
        """Delete it, without waiting for anything; `grace_s` is how long its containers have to end."""
        grace = {} if grace_s is None else {"gracePeriodSeconds": str(grace_s)}
        self._good(self.client.delete(self.path(item), params={"propagationPolicy": "Background"} | grace))

    def items(self, path: str, **query: str) -> list[Object]:
        """The objects of a list."""
        found: list[Object] = self._good(self.client.get(path, params=query)).json()["items"]
        return found

    def wait_for(self, item: Object, *paths: str, within: float = 60.0) -> Object:
        """Wait until each condition or field is there: `Available` is a condition, `status.active` a field."""
        wait_until(
            lambda: all(_has(self.get(item), path) for path in paths),
            within,
            f"{item['kind']} {item['metadata']['name']} does not get {', '.join(paths)}",
            lambda: str(self.get(item).get("status")),
        )
        return self.get(item)

    def token(self, service_account: str, namespace: str) -> str:
        """A token of a service account, as the kubelet asks for one."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        token: str = self._good(self.client.post(path, json=request)).json()["status"]["token"]
        return token

    def path(self, item: Object) -> str:
        """Where an object is served."""
        version, kind, metadata = item["apiVersion"], item["kind"], item["metadata"]
        if (version, kind) not in self._places:
            self._discover(version)
        plural, namespaced = self._places[version, kind]
        namespace = f"/namespaces/{metadata['namespace']}" if namespaced else ""
        return f"{_root(version)}{namespace}/{plural}/{metadata['name']}"

    def _discover(self, version: str) -> None:
        listed = self._good(self.client.get(_root(version))).json()["resources"]
        for found in listed:
            if "/" not in found["name"]:
                self._places[version, found["kind"]] = (found["name"], found["namespaced"])

    def _merge(self, path: str, changes: Object) -> None:
        self._good(self.client.patch(path, json=changes, headers={"Content-Type": _MERGE}))

    def _good(self, answer: httpx.Response) -> httpx.Response:
        assert answer.is_success, f"{answer.request.method} {answer.request.url}: {answer.text}"
        return answer


def _root(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def _has(item: Object, path: str) -> bool:
    if "." in path:
        found: Any = item
        for part in path.split("."):
            found = (found or {}).get(part)
        return bool(found)
    conditions: Iterable[Object] = item.get("status", {}).get("conditions") or ()
    return any(one["type"] == path and one["status"] == "True" for one in conditions)
