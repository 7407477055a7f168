"""LIST requests, over HTTP."""

import gzip

import pytest

from opscheck.demo.kubernetes import Resource, event, generic, many_pods

PODS = "/api/v1/namespaces/shop/pods"


def pages(client, path: str, **query: str | int) -> list[dict]:
    found = [client.get(path, params=query).json()]
    while token := found[-1]["metadata"].get("continue"):
        found.append(client.get(path, params={**query, "continue": token}).json())
    return found


def test_list_contains_one_namespace_in_order(names):
    assert ["job-1", "web-1", "web-2", "worker-1"] == names(PODS)


def test_list_without_a_namespace_contains_all(names):
    assert 5 == len(names("/api/v1/pods"))


def test_objects_of_the_cluster_have_no_namespace(names):
    assert ["node-1", "node-2"] == names("/api/v1/nodes")


def test_missing_namespace_has_an_empty_list(names):
    assert [] == names("/api/v1/namespaces/nowhere/pods")


def test_selectors_narrow_a_list(names):
    assert ["web-1", "web-2"] == names(PODS, labelSelector="app in (web)")
    assert ["worker-1"] == names(PODS, fieldSelector="status.phase=Pending")
    assert ["web-1"] == names(PODS, labelSelector="app=web", fieldSelector="spec.nodeName=node-1")


def test_events_are_selected_by_type_and_object(world, names):
    world.add(
        event("a", "shop", about="Pod/web-1", reason="BackOff", message="…", kind="Warning"),
        event("b", "shop", about="Pod/web-2", reason="Pulled", message="…"),
    )

    assert ["a"] == names("/api/v1/namespaces/shop/events", fieldSelector="type=Warning")
    assert ["b"] == names("/api/v1/events", fieldSelector="involvedObject.name=web-2")


@pytest.mark.parametrize("query", [{"labelSelector": "a b"}, {"fieldSelector": "spec.x=1"}, {"continue": "%%"}])
def test_invalid_parameter_is_a_bad_request(client, query):
    answer = client.get(PODS, params=query)

    assert 400 == answer.status_code
    assert "BadRequest" == answer.json()["reason"]


def test_list_has_a_kind_and_its_items_have_none(client):
    found = client.get(PODS).json()

    assert ("PodList", "v1") == (found["kind"], found["apiVersion"])
    assert found["metadata"]["resourceVersion"].isdigit()
    assert not {"kind", "apiVersion"} & set(found["items"][0])


def test_items_of_a_custom_resource_have_a_kind(world, client):
    world.serve(Resource("cert-manager.io", "v1", "certificates", "Certificate"))
    world.add(generic("cert-manager.io/v1", "Certificate", "tls", "shop"))

    (item,) = client.get("/apis/cert-manager.io/v1/certificates").json()["items"]

    assert "Certificate" == item["kind"]


def test_pages_together_are_the_whole_list(world, client):
    world.add(*many_pods(7, "load"))

    found = pages(client, "/api/v1/namespaces/load/pods", limit=3)

    assert [3, 3, 1] == [len(page["items"]) for page in found]
    assert [4, 1, None] == [page["metadata"].get("remainingItemCount") for page in found]
    assert 7 == len({item["metadata"]["name"] for page in found for item in page["items"]})
    assert 1 == len({page["metadata"]["resourceVersion"] for page in found})


def test_list_with_a_selector_has_no_remaining_count(client):
    page = client.get(PODS, params={"labelSelector": "app=web", "limit": 1}).json()

    assert page["metadata"]["continue"]
    assert "remainingItemCount" not in page["metadata"]


def test_list_from_the_watch_cache_ignores_the_limit(names):
    assert 4 == len(names(PODS, limit=1, resourceVersion="0"))


def test_expired_token_offers_another_at_the_same_position(api, client, names):
    api.expire_continue(PODS)
    token = client.get(PODS, params={"limit": 3}).json()["metadata"]["continue"]

    gone = client.get(PODS, params={"limit": 3, "continue": token})

    assert (410, "Expired") == (gone.status_code, gone.json()["reason"])
    assert ["worker-1"] == names(PODS, limit=3, **{"continue": gone.json()["metadata"]["continue"]})


def test_expired_token_may_require_a_new_list(api, client):
    api.expire_continue(PODS, fresh=False)
    token = client.get(PODS, params={"limit": 3}).json()["metadata"]["continue"]

    gone = client.get(PODS, params={"continue": token}).json()

    assert 410 == gone["code"]
    assert {} == gone["metadata"]


def test_list_of_metadata_alone_is_served(client):
    accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

    found = client.get(PODS, headers={"Accept": accept}).json()

    assert "PartialObjectMetadataList" == found["kind"]
    assert {"kind", "apiVersion", "metadata"} == set(found["items"][0])


def test_large_list_is_compressed_for_a_client_that_accepts_it(client, world):
    world.add(*many_pods(40, "load", padding=5000))
    request = client.build_request("GET", "/api/v1/namespaces/load/pods", headers={"Accept-Encoding": "gzip"})

    answer = client.send(request, stream=True)
    raw = b"".join(answer.iter_raw())

    assert "gzip" == answer.headers["Content-Encoding"]
    assert len(raw) * 5 < len(gzip.decompress(raw))


def test_small_or_unrequested_list_is_not_compressed(client, world):
    assert "Content-Encoding" not in client.get(PODS).headers

    world.add(*many_pods(40, "load", padding=5000))

    assert "Content-Encoding" not in client.get("/api/v1/pods", headers={"Accept-Encoding": "identity"}).headers


def test_thousand_pods_of_seven_kilobytes_are_two_requests(world, api, client):
    world.add(*many_pods(1000, "load", padding=7000))

    found = pages(client, "/api/v1/namespaces/load/pods", limit=500)

    assert 1000 == sum(len(page["items"]) for page in found)
    assert 2 == len(api.requests)
