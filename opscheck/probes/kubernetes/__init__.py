"""Asks Kubernetes API servers. Lists are read once per run and shared by every query that needs them."""

import threading
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Generic, TypeVar

import msgspec

from opscheck.probes.contact import late
from opscheck.probes.kubernetes.access import find_access
from opscheck.probes.kubernetes.client import Ask, Client, Deadline, Reply
from opscheck.probes.kubernetes.lists import list_items
from opscheck.probes.kubernetes.logs import read_logs
from opscheck.probes.kubernetes.refusals import METRICS, message_of
from opscheck.queries.base import Query
from opscheck.queries.kubernetes import (
    KubernetesRule,
    ListNodes,
    ListNodeUsage,
    ListPods,
    ListPodUsage,
    Node,
    NodeList,
    NodeUsage,
    NodeUsageList,
    Pod,
    PodList,
    PodUsage,
    PodUsageList,
)
from opscheck.queries.kubernetes_logs import PodLogs
from opscheck.queries.observation import ProbeError, ProblemKind
from opscheck.targets import KubernetesTarget

T = TypeVar("T")

_VERSION = Ask("/version")
# What stands between here and an API server that is down says one of these.
_DOWN = {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}


def open_session(target: KubernetesTarget, timeout_s: float) -> "KubernetesSession":
    """
    Find the credentials and ask the server its version. Raises ProbeError.

    A server that does not let this client ask even that is there: each query will say what it may not.
    """
    deadline = Deadline.after(timeout_s)
    try:
        access = find_access(target, deadline.at)
    except TimeoutError as error:
        raise late(f"no credentials in {timeout_s:g} s", timeout_s, target_down=True) from error
    client = Client(access, target.concurrency)
    try:
        _check_is_kubernetes(client, client.reply(_VERSION, deadline))
    except BaseException:
        client.close()
        raise
    return KubernetesSession(client)


def _check_is_kubernetes(client: Client, reply: Reply) -> None:
    if reply.status in _DOWN:
        text = f"{client.place} answered {reply.status}: {message_of(reply)}"
        advice = "the API server behind it may be down"
        raise ProbeError(ProblemKind.UNREACHABLE, text, advice, target_down=True)
    if reply.status == HTTPStatus.OK and not _is_version(reply.body):
        text = f"{client.place} is no Kubernetes API: it answered {message_of(reply)[:80]!r} to {_VERSION.text}"
        advice = "correct the kubeconfig's `server`"
        raise ProbeError(ProblemKind.UNREADABLE, text, advice, target_down=True)


def _is_version(body: bytes) -> bool:
    try:
        return "gitVersion" in msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False


class KubernetesSession:
    """One cluster for the length of a run."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._pods: dict[str | None, _Once[tuple[Pod, ...]]] = {}
        self._lock = threading.Lock()

    def ask(self, query: Query[Any], timeout_s: float) -> Any:
        """Answer `query`. Raises ProbeError."""
        deadline = Deadline.after(timeout_s)
        match query:
            case ListPods():
                return PodList(self._list_pods(query.namespace, deadline))
            case ListNodes():
                return NodeList(list_items(self._client, KubernetesRule("", "nodes", "list"), "v1", Node, deadline))
            case ListPodUsage():
                rule = KubernetesRule(METRICS, "pods", "list", query.namespace)
                return PodUsageList(list_items(self._client, rule, "v1beta1", PodUsage, deadline))
            case ListNodeUsage():
                rule = KubernetesRule(METRICS, "nodes", "list")
                return NodeUsageList(list_items(self._client, rule, "v1beta1", NodeUsage, deadline))
            case PodLogs():
                return read_logs(self._client, query, self._list_pods(query.namespace, deadline), deadline)
        raise ProbeError(ProblemKind.UNSUPPORTED, f"a Kubernetes cluster cannot be asked {query.text()}")

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _list_pods(self, namespace: str | None, deadline: Deadline) -> tuple[Pod, ...]:
        # Every question about logs starts with the list that other checks read as a whole.
        with self._lock:
            once = self._pods.setdefault(namespace, _Once())
        rule = KubernetesRule("", "pods", "list", namespace)
        return once.get(lambda: list_items(self._client, rule, "v1", Pod, deadline), self._client, deadline)


class _Once(Generic[T]):
    """A value that the first to ask for it fetches, and the others wait for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._value: T | None = None

    def get(self, fetch: Callable[[], T], client: Client, deadline: Deadline) -> T:
        """The value. Whoever waits for a fetch that fails makes another one. Raises ProbeError."""
        if not self._lock.acquire(timeout=max(0.0, deadline.left)):
            raise client.late(deadline)
        try:
            if self._value is None:
                self._value = fetch()
            return self._value
        finally:
            self._lock.release()
