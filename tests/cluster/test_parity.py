"""The demo's own API server is held to the real one: the same requests to both, and the same answers."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from opscheck.demo.kubernetes import KubernetesApi, Rule, World
from tests.cluster.api import Api
from tests.cluster.manifests import made, namespace, one_of_each, pod

SPACE = "parity"
USER = f"system:serviceaccount:{SPACE}:reader"
PODS = f"/api/v1/namespaces/{SPACE}/pods"

# Both answer about a moment of their own.
_VOLATILE = {"resourceVersion", "creationTimestamp", "uid", "continue"}
_OF_THE_BUILD = {"gitCommit", "gitTreeState", "buildDate", "goVersion"}
_OF_THE_TOKEN = {"extra"}  # the token's own number, which nobody reads
_HEADERS = ("content-type", "content-encoding", "retry-after", "location", "www-authenticate")


@dataclass(frozen=True)
class Request:
    """What is asked of both servers."""

    path: str
    query: dict[str, str] = field(default_factory=dict)
    who: str = "admin"
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    worded: bool = True
    """False where nobody reads the server's words, and they say what went on inside a parser."""

    def __str__(self) -> str:
        words = [self.method, self.path.replace(SPACE, "SPACE")]
        words += [f"{key}={value}" for key, value in self.query.items()]
        words += [self.who] if self.who != "admin" else []
        return " ".join([*words, *self.headers.values()])


@dataclass(frozen=True)
class Pair:
    """The real server and the demo's, with the same objects and the same users."""

    real: dict[str, httpx.Client]
    fake: dict[str, httpx.Client]
    demo: KubernetesApi

    def ask(self, request: Request) -> tuple[httpx.Response, httpx.Response]:
        """What each says."""
        return tuple(  # type: ignore[return-value]
            clients[request.who].request(
                request.method, request.path, params=request.query, headers=request.headers, json=request.body
            )
            for clients in (self.real, self.fake)
        )


@pytest.fixture(name="pair", scope="module")
def _pair(cluster) -> Iterator[Pair]:
    api = cluster.api
    api.apply(*one_of_each_without_metrics(), *more_pods(), *reader())
    token = api.token("reader", SPACE)
    world = World(*copied(api), version="v1.36.3")
    with KubernetesApi(world) as demo:
        demo.admit(token, USER, Rule(("list",), ("pods",), ("",), (SPACE,)))
        tokens = {"admin": demo.token, "reader": token, "stranger": "nobody-gave-this-out"}
        fake = {who: client(demo.url, known) for who, known in tokens.items()}
        real = {who: cluster.connect(known).client for who, known in (tokens | {"admin": cluster.admin}).items()}
        yield Pair(real, fake, demo)
        for one in fake.values():
            one.close()


def client(url: str, token: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30, trust_env=False)


def one_of_each_without_metrics():
    """The demo measures and the real server does not; a cluster without metrics-server is compared in a row below."""
    return [item for item in one_of_each(SPACE) if "metrics.k8s.io" not in item["apiVersion"]]


def more_pods():
    yield made("ConfigMap", "large", SPACE, data={"page": "a long page " * 15_000})
    two = [{"name": name, "image": "registry.example.com/app:1"} for name in ("app", "proxy")]
    yield made("Pod", "two", SPACE, spec={"containers": two})
    labels = {"tier": "front"}
    yield from (pod(f"load-{number}", SPACE, app="load") for number in range(5))
    yield made("Pod", "labelled", SPACE, labels=labels, spec=pod("x", SPACE)["spec"])


def reader():
    """Somebody who may list pods there, and nothing else."""
    yield made("ServiceAccount", "reader", SPACE)
    rbac = "rbac.authorization.k8s.io"
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]
    yield made("Role", "reader", SPACE, f"{rbac}/v1", rules=rules)
    binding = {"roleRef": {"apiGroup": rbac, "kind": "Role", "name": "reader"}}
    binding["subjects"] = [{"kind": "ServiceAccount", "name": "reader", "namespace": SPACE}]
    yield made("RoleBinding", "reader", SPACE, f"{rbac}/v1", **binding)


def copied(api: Api) -> Iterator[dict[str, Any]]:
    """The objects as the real server has them now."""
    yield api.get(namespace(SPACE))
    for item in (*one_of_each_without_metrics(), *more_pods()):
        yield api.get(item)


def shape(body: Any) -> Any:
    """A JSON body with every value but those that both servers choose for themselves."""
    if isinstance(body, dict):
        masked = _VOLATILE | _OF_THE_BUILD
        return {key: "…" if key in masked else shape(value) for key, value in body.items() if key not in _OF_THE_TOKEN}
    return [shape(value) for value in body] if isinstance(body, list) else body


def said(answer: httpx.Response, *, worded: bool = True) -> dict[str, Any]:
    """What a client can see of an answer, without what differs from moment to moment."""
    headers = {name: answer.headers[name] for name in _HEADERS if name in answer.headers}
    kind = headers.get("content-type", "")
    body = shape(answer.json()) if "json" in kind else answer.text
    if not worded:
        body = {key: value for key, value in body.items() if key not in {"message", "details"}}
    return {"status": answer.status_code, "headers": headers, "body": body}


METADATA_ONLY = {"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}
REVIEW = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}

REQUESTS = [
    *(Request(path) for path in ("/version", "/readyz", "/livez", "/healthz")),
    # Lists, whole and in pages.
    Request(PODS),
    Request(PODS, {"limit": "3"}),
    Request(PODS, {"limit": "3", "labelSelector": "app=load"}),
    Request(PODS, {"limit": "3", "resourceVersion": "0"}),
    Request(PODS, {"resourceVersion": "0"}),
    Request(PODS, {"limit": "500"}),
    Request(PODS, {"continue": "nonsense"}, worded=False),
    Request(PODS, {"limit": "many"}),
    Request("/api/v1/namespaces/no-such-namespace/pods"),
    Request(f"/apis/apps/v1/namespaces/{SPACE}/deployments"),
    Request(f"/apis/batch/v1/namespaces/{SPACE}/jobs"),
    # Selectors.
    *(
        Request(PODS, {"labelSelector": selector})
        for selector in (
            "app=load",
            "app!=load",
            "app in (load,web)",
            "app notin (load)",
            "!app",
            "app,tier",
            "app==load,tier!=back",
            "nothing=there",
            "app=",
        )
    ),
    *(
        Request(PODS, {"labelSelector": selector}, worded=False)
        for selector in ("app in (load", "=load", "app=load,,", "app>load", "a b")
    ),
    *(
        Request(PODS, {"fieldSelector": selector})
        for selector in (
            "status.phase=Pending",
            "status.phase!=Pending",
            "metadata.name=load-1",
            "metadata.namespace=parity",
            "spec.nodeName=",
            "spec.nodeName!=",
            "status.nothing=1",
            "status.phase",
            "status.phase=Pending,metadata.name!=load-1",
        )
    ),
    Request(f"/api/v1/namespaces/{SPACE}/events", {"fieldSelector": "type=Warning"}),
    Request(f"/api/v1/namespaces/{SPACE}/events", {"fieldSelector": "involvedObject.name=web-1"}),
    Request("/api/v1/nodes", {"fieldSelector": "status.phase=Running"}),
    # Forms of an answer.
    Request(PODS, {"limit": "2"}, headers=METADATA_ONLY),
    Request(f"/api/v1/namespaces/{SPACE}/secrets", headers=METADATA_ONLY),
    Request(PODS, headers={"Accept-Encoding": "gzip"}),
    Request(PODS, headers={"Accept-Encoding": "identity"}),
    # One object.
    Request(f"{PODS}/load-1"),
    Request(f"{PODS}/nobody"),
    Request(f"/apis/apps/v1/namespaces/{SPACE}/deployments/nobody"),
    Request("/api/v1/nodes/node-1"),
    # What nobody serves.
    Request("/nowhere"),
    Request("/api/v2/pods"),
    Request("/api/v1/nothings"),
    Request(f"/api/v1/namespaces/{SPACE}/nothings"),
    Request("/apis/example.com/v1/things"),
    Request(f"/apis/apps/v1/namespaces/{SPACE}/nothings"),
    *(Request(path) for path in ("/apis/apps/v9/deployments", "/apis/apps/v9", "/apis/example.com", "/api/v2")),
    *(Request(path, who="reader") for path in ("/apis/apps/v9", "/apis/example.com", "/api/v2", "/metrics")),
    Request(f"/api/v1/namespaces/{SPACE}/nodes"),
    # Who asks.
    *(Request(path, who="stranger") for path in ("/version", PODS, "/nowhere", "/readyz")),
    Request(PODS, who="reader"),
    Request("/version", who="reader"),
    *(
        Request(path, who="reader")
        for path in (
            "/api/v1/pods",
            f"{PODS}/load-1",
            f"{PODS}/nobody",
            f"{PODS}/load-1/log",
            "/api/v1/namespaces/other/pods",
            "/api/v1/nodes",
            "/api/v1/nodes/node-1",
            "/api/v1/namespaces",
            f"/apis/apps/v1/namespaces/{SPACE}/deployments",
            f"/apis/apps/v1/namespaces/{SPACE}/deployments/web",
            "/apis/example.com/v1/things",
            "/apis/metrics.k8s.io/v1beta1/nodes",
            f"/apis/metrics.k8s.io/v1beta1/namespaces/{SPACE}/pods",
            "/nowhere",
        )
    ),
    Request("/apis/authentication.k8s.io/v1/selfsubjectreviews", who="reader", method="POST", body=REVIEW),
    Request("/apis/authentication.k8s.io/v1/selfsubjectreviews", who="stranger", method="POST", body=REVIEW),
    # From 1.36 on the server looks first whether this one question may be asked as somebody else, and says so.
    Request(PODS, who="reader", headers={"Impersonate-User": "somebody"}, worded=False),
    Request(PODS, headers={"Impersonate-User": USER}),
    Request(f"/apis/apps/v1/namespaces/{SPACE}/deployments", headers={"Impersonate-User": USER}),
    # Logs, of pods that no kubelet runs.
    Request(f"{PODS}/nobody/log"),
    Request(f"{PODS}/load-1/log", {"container": "nobody"}),
    Request(f"{PODS}/load-1/log", {"tailLines": "-1"}),
    Request(f"{PODS}/load-1/log", {"sinceSeconds": "0"}),
    Request(f"{PODS}/load-1/log", {"limitBytes": "0"}),
    Request(f"{PODS}/load-1/log", {"sinceSeconds": "5", "sinceTime": "2026-01-01T00:00:00Z"}),
    Request(f"{PODS}/load-1/log"),
    Request(f"{PODS}/two/log"),
    # What would change something.
    Request(PODS, who="reader", method="POST", body=pod("new", SPACE)),
    Request(f"{PODS}/load-1", who="reader", method="DELETE"),
    Request(f"{PODS}/load-1", who="reader", method="PATCH", body={}),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=str)
def test_both_servers_answer_the_same(pair, request_):
    real, fake = pair.ask(request_)

    assert said(real, worded=request_.worded) == said(fake, worded=request_.worded)


def test_both_servers_compress_large_answers(pair):
    real, fake = pair.ask(Request(f"/api/v1/namespaces/{SPACE}/configmaps", headers={"Accept-Encoding": "gzip"}))

    assert "gzip" == real.headers["content-encoding"] == fake.headers["content-encoding"]
    assert said(real) == said(fake)


def test_second_page_continues_after_the_first(pair):
    first = pair.ask(Request(PODS, {"limit": "3"}))
    real, fake = (continued(clients, page) for clients, page in zip((pair.real, pair.fake), first, strict=True))

    assert said(real) == said(fake)
    assert 3 == len(real.json()["items"])


def test_expired_list_offers_to_continue(pair, cluster):
    first = pair.ask(Request(PODS, {"limit": "3"}))
    cluster.outdate()
    pair.demo.expire_continue(PODS)
    expired = [continued(clients, page) for clients, page in zip((pair.real, pair.fake), first, strict=True)]
    real, fake = (continued(clients, page) for clients, page in zip((pair.real, pair.fake), expired, strict=True))

    assert [410, 410] == [answer.status_code for answer in expired]
    assert said(expired[0]) == said(expired[1])
    assert said(real) == said(fake)
    assert 3 == len(real.json()["items"])


def continued(clients: dict[str, httpx.Client], page: httpx.Response) -> httpx.Response:
    """The page after this one."""
    return clients["admin"].get(PODS, params={"limit": "3", "continue": page.json()["metadata"]["continue"]})
