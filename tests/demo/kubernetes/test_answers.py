"""Objects, discovery, identities and refusals, over HTTP."""

import httpx
import pytest

from opscheck.demo.kubernetes import DEFAULT_USER, Rule, node_metrics, pod_metrics

PODS = "/api/v1/namespaces/shop/pods"
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


def test_one_object_is_served_whole(client):
    found = client.get(f"{PODS}/web-1").json()

    assert ("Pod", "v1", "web-1") == (found["kind"], found["apiVersion"], found["metadata"]["name"])


def test_changed_object_is_served_to_the_next_request(world, client):
    with world.changing():
        world.get("Pod", "web-1", "shop")["status"]["phase"] = "Failed"

    assert "Failed" == client.get(f"{PODS}/web-1").json()["status"]["phase"]


def test_missing_object_is_not_found(client):
    answer = client.get(f"{PODS}/nope")

    assert 404 == answer.status_code
    assert {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'pods "nope" not found',
        "reason": "NotFound",
        "details": {"name": "nope", "kind": "pods"},
        "code": 404,
    } == answer.json()


def test_unknown_kind_of_a_known_group_is_not_found(client):
    assert "the server could not find the requested resource" == client.get("/api/v1/foos").json()["message"]


def test_unserved_group_is_a_plain_404(client):
    answer = client.get("/apis/queues.example.com/v1/queues")

    assert (404, "404 page not found\n") == (answer.status_code, answer.text)
    assert answer.headers["Content-Type"].startswith("text/plain")


def test_withdrawn_group_is_not_served(world, client):
    world.withdraw("metrics.k8s.io")

    assert 404 == client.get("/apis/metrics.k8s.io/v1beta1/nodes").status_code


def test_version_is_served(client):
    found = client.get("/version").json()

    assert ("1", "34", "v1.34.1") == (found["major"], found["minor"], found["gitVersion"])


def test_discovery_lists_groups_versions_and_kinds(client):
    groups = {group["name"] for group in client.get("/apis").json()["groups"]}
    core = {found["name"]: found for found in client.get("/api/v1").json()["resources"]}

    assert {"apps", "batch", "metrics.k8s.io", "authentication.k8s.io"} <= groups
    assert ["v1"] == client.get("/api").json()["versions"]
    assert "apps/v1" == client.get("/apis/apps").json()["preferredVersion"]["groupVersion"]
    assert core["pods"]["namespaced"]
    assert not core["nodes"]["namespaced"]
    assert "pods/log" in core


def test_metrics_of_metrics_server_are_served(world, client):
    world.add(node_metrics("node-1", "250m", "512Mi"), pod_metrics("web-1", "shop", app=("1500000n", "64Mi")))

    (of_node,) = client.get("/apis/metrics.k8s.io/v1beta1/nodes").json()["items"]
    (of_pod,) = client.get("/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods").json()["items"]

    assert {"cpu": "250m", "memory": "512Mi"} == of_node["usage"]
    assert [{"name": "app", "usage": {"cpu": "1500000n", "memory": "64Mi"}}] == of_pod["containers"]
    assert of_pod["timestamp"].endswith("Z")
    assert "20s" == of_pod["window"]


@pytest.mark.parametrize("headers", [{"Authorization": ""}, {"Authorization": "Bearer wrong"}])
def test_unknown_token_is_unauthorized(client, headers):
    answer = client.get(PODS, headers=headers)

    assert 401 == answer.status_code
    assert {"reason": "Unauthorized", "message": "Unauthorized", "code": 401}.items() <= answer.json().items()


def test_revoked_token_is_unauthorized(api, client):
    api.revoke()

    assert 401 == client.get(PODS).status_code


def test_denied_request_is_forbidden_as_a_server_words_it(api, client):
    api.deny("pods", verbs=("list",), namespace="shop")

    refused = client.get(PODS)

    assert 403 == refused.status_code
    assert "Forbidden" == refused.json()["reason"]
    assert {"kind": "pods"} == refused.json()["details"]
    assert (
        f'pods is forbidden: User "{DEFAULT_USER}" cannot list resource "pods" in API group "" in the namespace "shop"'
    ) == refused.json()["message"]
    assert 200 == client.get("/api/v1/namespaces/other/pods").status_code


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/api/v1/nodes", 'cannot list resource "nodes" in API group "" at the cluster scope'),
        (
            "/apis/metrics.k8s.io/v1beta1/nodes",
            'nodes.metrics.k8s.io is forbidden: User "limited" cannot list resource "nodes"',
        ),
        (
            f"{PODS}/web-1/log",
            'pods "web-1" is forbidden: User "limited" cannot get resource "pods/log" in API group ""',
        ),
    ],
)
def test_identity_has_only_the_permissions_of_its_rules(api, client, path, message):
    api.admit("other-token", "limited", Rule(verbs=("list",), resources=("pods",), namespaces=("shop",)))
    headers = {"Authorization": "Bearer other-token"}

    assert 200 == client.get(PODS, headers=headers).status_code
    assert 403 == client.get("/api/v1/pods", headers=headers).status_code
    assert message in client.get(path, headers=headers).json()["message"]


def test_every_caller_may_read_its_own_identity(api, client):
    api.admit("other-token", "maria", groups=("sre", "system:authenticated"))

    answer = client.post(WHO, json={}, headers={"Authorization": "Bearer other-token"})

    assert 201 == answer.status_code
    assert {"username": "maria", "groups": ["sre", "system:authenticated"]} == answer.json()["status"]["userInfo"]


def test_impersonation_changes_the_caller(api, client):
    headers = {"Impersonate-User": "maria", "Impersonate-Group": "sre"}

    who = client.post(WHO, json={}, headers=headers).json()["status"]["userInfo"]
    refused = client.get(PODS, headers=headers).json()

    assert {"username": "maria", "groups": ["sre", "system:authenticated"]} == who
    assert 'User "maria" cannot list' in refused["message"]

    api.admit("marias-token", "maria", Rule(resources=("pods",)))

    assert 200 == client.get(PODS, headers=headers).status_code


def test_impersonation_without_a_grant_is_forbidden(api, client):
    api.deny("users", verbs=("impersonate",))

    refused = client.get(PODS, headers={"Impersonate-User": "maria"}).json()

    assert 'cannot impersonate resource "users"' in refused["message"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_write_over_http_is_refused(client, names, method):
    assert 405 == client.request(method, f"{PODS}/web-1", json={}).status_code
    assert "web-1" in names(PODS)


def test_every_request_is_recorded(api, client):
    client.get(PODS, params={"limit": 2, "labelSelector": "app=web"})

    (request,) = api.requests

    assert ("GET", PODS) == (request.method, request.path)
    assert {"limit": "2", "labelSelector": "app=web"} == request.query
    assert f"Bearer {api.token}" == request.headers["authorization"]

    api.forget_requests()

    assert () == api.requests


def test_one_connection_serves_many_requests(client):
    first = client.get(PODS).extensions["network_stream"].get_extra_info("client_addr")
    second = client.get("/api/v1/nodes").extensions["network_stream"].get_extra_info("client_addr")

    assert first == second


def test_client_that_disconnects_does_not_stop_the_server(api, client):
    with httpx.Client(base_url=api.url) as other:
        other.get(PODS)

    assert 200 == client.get(PODS).status_code
