"""The state of the cluster: objects and log lines. Plain dicts, which callers change in place."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from opscheck.demo.kubernetes.resources import BUILT_IN, CUSTOM, Resource

Object = dict[str, Any]


@dataclass(frozen=True)
class LogLine:
    """One line a container wrote, and when."""

    at: datetime
    text: str


@dataclass(frozen=True)
class LogSource:
    """A container's log; `previous` is that of the container before the last restart."""

    namespace: str
    pod: str
    container: str
    previous: bool = False


class World:
    """
    The objects of the API server.

    `apiVersion` and `kind` determine the resource. `serve` adds custom resources, `withdraw` removes a group.
    Change an object inside `with world.changing():` while a server shows it.
    """

    def __init__(self, *objects: Object, version: str = "v1.34.1") -> None:
        self.version = version
        self.lock = threading.RLock()
        self.resource_version = 1000
        self._resources = {(resource.group, resource.kind): resource for resource in (*BUILT_IN, *CUSTOM)}
        self._stored: dict[Resource, dict[tuple[str, str], Object]] = {}
        self._logs: dict[LogSource, list[LogLine]] = {}
        self._volumes: dict[tuple[str, str, str], Object] = {}
        self.add(*objects)

    @property
    def resources(self) -> tuple[Resource, ...]:
        """Everything served."""
        return tuple(self._resources.values())

    def serve(self, resource: Resource) -> None:
        """Serve one more kind, as a CustomResourceDefinition does."""
        with self.changing():
            self._resources[resource.group, resource.kind] = resource

    def withdraw(self, group: str) -> None:
        """Stop serving a group, as a cluster without metrics-server does not serve metrics.k8s.io."""
        with self.changing():
            self._resources = {key: value for key, value in self._resources.items() if key[0] != group}

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the servers' readers off; the resource version grows."""
        with self.lock:
            yield
            self.resource_version += 1

    def add(self, *objects: Object) -> None:
        """Store these, over older ones of the same kind, namespace and name. KeyError: kind not served."""
        with self.changing():
            for item in objects:
                self._kind_of(item)[_key(item)] = item

    def remove(self, kind: str, name: str, namespace: str = "") -> None:
        """Delete one object, if it is there."""
        with self.changing():
            self._shelf(kind).pop((namespace, name), None)

    def get(self, kind: str, name: str, namespace: str = "") -> Object:
        """The stored object itself, not a copy. KeyError when there is none."""
        return self._shelf(kind)[namespace, name]

    def one(self, resource: Resource, name: str, namespace: str = "") -> Object:
        """The same by its resource."""
        return self._stored.get(resource, {})[namespace, name]

    def select(self, resource: Resource, namespace: str | None = None) -> list[Object]:
        """The objects of a kind (None: in every namespace), in the order of etcd's keys."""
        stored = self._stored.get(resource, {})
        return [stored[key] for key in sorted(stored) if namespace is None or key[0] == namespace]

    def log(
        self,
        pod: str,
        *lines: LogLine | str,
        namespace: str = "default",
        container: str = "app",
        previous: bool = False,
    ) -> None:
        """Append lines to a container's log. A plain string has the current time; lines are sorted by time."""
        source = LogSource(namespace, pod, container, previous)
        written = [line if isinstance(line, LogLine) else LogLine(datetime.now(UTC), line) for line in lines]
        with self.changing():
            kept = self._logs.setdefault(source, [])
            kept.extend(written)
            kept.sort(key=lambda line: line.at)

    def logged(self, source: LogSource) -> list[LogLine]:
        """The log of a container, oldest line first."""
        return list(self._logs.get(source, ()))

    def measure_volume(self, node: str, pod: str, volume: Object) -> None:
        """Have the kubelet of `node` report a claim that `pod` has mounted there; see `storage.volume_stats`."""
        with self.changing():
            self._volumes[node, pod, volume["name"]] = volume

    def measured_volumes(self, node: str) -> dict[str, list[Object]]:
        """The volumes that the kubelet of `node` reports, by pod."""
        found: dict[str, list[Object]] = {}
        for (there, pod, _), volume in self._volumes.items():
            if there == node:
                found.setdefault(pod, []).append(volume)
        return found

    def clear_log(self, pod: str, namespace: str = "default") -> None:
        """Delete the logs of a pod's containers."""
        with self.changing():
            self._logs = {
                source: lines
                for source, lines in self._logs.items()
                if (source.namespace, source.pod) != (namespace, pod)
            }

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """The resource under this path, or None."""
        wanted = (group, version, plural)
        return next((r for r in self.resources if (r.group, r.version, r.plural) == wanted), None)

    def _kind_of(self, item: Object) -> dict[tuple[str, str], Object]:
        group = item["apiVersion"].rpartition("/")[0]
        return self._stored.setdefault(self._resources[group, item["kind"]], {})

    def _shelf(self, kind: str) -> dict[tuple[str, str], Object]:
        resource = next(resource for resource in self.resources if resource.kind == kind)
        return self._stored.setdefault(resource, {})


def _key(item: Object) -> tuple[str, str]:
    metadata = item["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def names(items: Iterable[Object]) -> list[str]:
    """The names of objects, in their order."""
    return [item["metadata"]["name"] for item in items]
