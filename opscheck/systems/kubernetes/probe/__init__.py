"""Queries Kubernetes API servers. Pods are listed once per run and shared by every query that needs them."""

import threading
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.query import Query
from opscheck.systems.kubernetes.api_server import Context, ReadContext, ReadIdentity, ReadVersion, ServerVersion
from opscheck.systems.kubernetes.certificates import ListTlsSecrets
from opscheck.systems.kubernetes.lists import ListObjects, ObjectList
from opscheck.systems.kubernetes.logs import PodLogs
from opscheck.systems.kubernetes.pods import ListPods, Pod
from opscheck.systems.kubernetes.probe.access import find_access
from opscheck.systems.kubernetes.probe.client import Client, Deadline, Reply, Request
from opscheck.systems.kubernetes.probe.errors import decoded, message_of
from opscheck.systems.kubernetes.probe.identity import read_identity
from opscheck.systems.kubernetes.probe.lists import list_items
from opscheck.systems.kubernetes.probe.logs import read_logs
from opscheck.systems.kubernetes.probe.tls_secrets import list_tls_secrets
from opscheck.systems.kubernetes.probe.volume_stats import NodeVolumes, read_volume_stats, volumes_of_node
from opscheck.systems.kubernetes.target import KubernetesTarget
from opscheck.systems.kubernetes.volumes import ReadVolumeStats, VolumeStats
from opscheck.transport.connect import late

T = TypeVar("T")
_VERSION = Request("/version")
_decode_version = msgspec.json.Decoder(ServerVersion).decode
# Proxies and load balancers send these when the API server behind them is down.
_DOWN = {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}


def open_session(target: KubernetesTarget, timeout_s: float) -> "KubernetesSession":
    """
    Find the credentials and request the server's version. Raises ProbeError.

    A server that denies this request is up: each query reports its own missing permission.
    """
    deadline = Deadline(timeout_s)
    try:
        access = find_access(target, deadline.at)
    except TimeoutError as error:
        raise late(f"no credentials in {timeout_s:g} s", timeout_s, target_down=True) from error
    client = Client(access, target.concurrency)
    try:
        hello = client.reply(_VERSION, deadline)
        _check_is_kubernetes(client, hello)
    except BaseException:
        client.close()
        raise
    return KubernetesSession(client, hello)


def _check_is_kubernetes(client: Client, reply: Reply) -> None:
    if reply.status in _DOWN:
        text = f"{client.place} answered {reply.status}: {message_of(reply)}"
        advice = "the API server behind it may be down"
        raise ProbeError(ProblemKind.UNREACHABLE, text, advice, target_down=True)
    if reply.status == HTTPStatus.OK and decoded(_decode_version, reply.body) is None:
        text = f"{client.place} is not a Kubernetes API: it answered {message_of(reply)[:80]!r} to {_VERSION.text}"
        advice = "correct the kubeconfig's `server`"
        raise ProbeError(ProblemKind.UNREADABLE, text, advice, target_down=True)


class KubernetesSession:
    """One cluster for the length of a run."""

    def __init__(self, client: Client, hello: Reply) -> None:
        self._client = client
        self._hello = hello
        self._fetched: dict[tuple[str, str | None], Any] = {}
        self._locks: dict[tuple[str, str | None], threading.Lock] = {}
        self._lock = threading.Lock()

    def ask(self, query: Query[Any], timeout_s: float) -> Any:
        """Answer `query`. Raises ProbeError."""
        deadline = Deadline(timeout_s)
        match query:
            case ListObjects():
                return ObjectList(self._list(query, deadline))
            case PodLogs():
                return read_logs(self._client, query, self._pods(query.target, query.namespace, deadline), deadline)
            case ReadVolumeStats():
                return self._volume_stats(query, deadline)
            case ReadIdentity():
                return read_identity(self._client, deadline)
            case ReadVersion():
                return self._version()
            case ReadContext():
                return self._context()
        raise ProbeError(ProblemKind.UNSUPPORTED, f"a Kubernetes cluster does not support this query: {query.text()}")

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _list(self, query: ListObjects[Any], deadline: Deadline) -> tuple[Any, ...]:
        if isinstance(query, ListPods):
            return self._pods(query.target, query.namespace, deadline)
        if isinstance(query, ListTlsSecrets):
            return list_tls_secrets(self._client, query, deadline)
        return list_items(self._client, query, deadline)

    def _version(self) -> ServerVersion:
        # Read when the session was opened.
        found = decoded(_decode_version, self._hello.body) if self._hello.status == HTTPStatus.OK else None
        if found is None:
            raise self._client.refusal(_VERSION, self._hello)
        return found

    def _context(self) -> Context:
        access = self._client.access
        return Context(server=access.server, name=access.context or "", namespace=access.namespace)

    def _volume_stats(self, query: ReadVolumeStats, deadline: Deadline) -> VolumeStats:
        def of_node(node: str) -> NodeVolumes:
            return self._once(("volumes", node), lambda: volumes_of_node(self._client, node, deadline), deadline)

        pods = self._pods(query.target, query.namespace, deadline)
        return read_volume_stats(query, pods, of_node, self._client, deadline)

    def _pods(self, target: str, namespace: str | None, deadline: Deadline) -> tuple[Pod, ...]:
        # Every query about logs starts with the list that other checks read as a whole.
        query = ListPods(target, namespace)
        return self._once(("pods", namespace), lambda: list_items(self._client, query, deadline), deadline)

    def _once(self, what: tuple[str, str | None], fetch: Callable[[], T], deadline: Deadline) -> T:
        """The result of the first thread, for which the others wait; after a failure the next one fetches again."""
        with self._lock:
            lock = self._locks.setdefault(what, threading.Lock())
        if not lock.acquire(timeout=max(0.0, deadline.left)):
            raise self._client.late(deadline)
        try:
            if what not in self._fetched:
                self._fetched[what] = fetch()
            found: T = self._fetched[what]
            return found
        finally:
            lock.release()
