"""Objects, discovery, identities and refusals, over HTTP."""

import httpx
import pytest

from opscheck.demo.kubernetes import DEFAULT_USER, Rule, node_metrics, pod_metrics

PODS = "/api/v1/namespaces/shop/pods"
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


def test_one_object_is_served_whole(client):
    found = client.get(f"{PODS}/web-1").json()

    assert ("Pod", "v1", "web-1") == (found["kind"], found["apiVersion"], found["metadata"]["name"])


def test_a_change_of_an_object_is_seen_by_the_next_request(world, client):
    with world.changing():
        world.get("Pod", "web-1", "shop")["status"]["phase"] = "Failed"

    assert "Failed" == client.get(f"{PODS}/web-1").json()["status"]["phase"]


def test_an_object_that_is_not_there_is_not_found(client):
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


def test_an_unknown_kind_of_a_known_group_is_not_found(client):
    assert "the server could not find the requested resource" == client.get("/api/v1/foos").json()["message"]


def test_a_group_that_is_not_served_is_a_plain_404(client):
    answer = client.get("/apis/queues.example.com/v1/queues")

    assert (404, "404 page not found\n") == (answer.status_code, answer.text)
    assert answer.headers["Content-Type"].startswith("text/plain")


def test_a_withdrawn_group_is_not_served(world, client):
    world.withdraw("metrics.k8s.io")

    assert 404 == client.get("/apis/metrics.k8s.io/v1beta1/nodes").status_code


def test_the_version_is_served(client):
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


def test_what_metrics_server_measured_is_served(world, client):
    world.add(node_metrics("node-1", "250m", "512Mi"), pod_metrics("web-1", "shop", app=("1500000n", "64Mi")))

    (of_node,) = client.get("/apis/metrics.k8s.io/v1beta1/nodes").json()["items"]
    (of_pod,) = client.get("/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods").json()["items"]

    assert {"cpu": "250m", "memory": "512Mi"} == of_node["usage"]
    assert [{"name": "app", "usage": {"cpu": "1500000n", "memory": "64Mi"}}] == of_pod["containers"]
    assert of_pod["timestamp"].endswith("Z")
    assert "20s" == of_pod["window"]


@pytest.mark.parametrize("headers", [{"Authorization": ""}, {"Authorization": "Bearer wrong"}])
def test_without_a_known_token_nothing_is_answered(client, headers):
    answer = client.get(PODS, headers=headers)

    assert 401 == answer.status_code
    assert {"reason": "Unauthorized", "message": "Unauthorized", "code": 401}.items() <= answer.json().items()


def test_a_revoked_token_is_worth_nothing(api, client):
    api.revoke()

    assert 401 == client.get(PODS).status_code


def test_what_is_denied_is_forbidden_in_the_servers_words(api, client):
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
def test_an_identity_may_do_what_its_rules_grant_and_no_more(api, client, path, message):
    api.admit("other-token", "limited", Rule(verbs=("list",), resources=("pods",), namespaces=("shop",)))
    headers = {"Authorization": "Bearer other-token"}

    assert 200 == client.get(PODS, headers=headers).status_code
    assert 403 == client.get("/api/v1/pods", headers=headers).status_code
    assert message in client.get(path, headers=headers).json()["message"]


def test_everybody_may_ask_who_they_are(api, client):
    api.admit("other-token", "maria", groups=("sre", "system:authenticated"))

    answer = client.post(WHO, json={}, headers={"Authorization": "Bearer other-token"})

    assert 201 == answer.status_code
    assert {"username": "maria", "groups": ["sre", "system:authenticated"]} == answer.json()["status"]["userInfo"]


def test_impersonation_changes_who_asks(api, client):
    headers = {"Impersonate-User": "maria", "Impersonate-Group": "sre"}

    who = client.post(WHO, json={}, headers=headers).json()["status"]["userInfo"]
    refused = client.get(PODS, headers=headers).json()

    assert {"username": "maria", "groups": ["sre", "system:authenticated"]} == who
    assert 'User "maria" cannot list' in refused["message"]

    api.admit("marias-token", "maria", Rule(resources=("pods",)))

    assert 200 == client.get(PODS, headers=headers).status_code


def test_impersonation_has_to_be_granted(api, client):
    api.deny("users", verbs=("impersonate",))

    refused = client.get(PODS, headers={"Impersonate-User": "maria"}).json()

    assert 'cannot impersonate resource "users"' in refused["message"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_can_be_changed_over_http(client, names, method):
    assert 405 == client.request(method, f"{PODS}/web-1", json={}).status_code
    assert "web-1" in names(PODS)


def test_every_request_is_on_record(api, client):
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


def test_a_client_that_hangs_up_disturbs_nobody(api, client):
    with httpx.Client(base_url=api.url) as other:
        other.get(PODS)

    assert 200 == client.get(PODS).status_code
