"""Services, endpoint slices, ingresses and the names of secrets, as the probe reads them from a server."""

import json

import msgspec

from opscheck.demo.kubernetes import endpoint, endpoint_slice, ingress, ingress_class, secret, service
from opscheck.systems.kubernetes.ingresses import ListIngressClasses, ListIngresses, ListSecretNames
from opscheck.systems.kubernetes.services import ListEndpointSlices, ListServices


def test_each_kind_is_read_from_its_own_group(world, session):
    ends = [endpoint("web-1", namespace="shop")]
    made = [service("web", "shop"), endpoint_slice("web", "shop", endpoints=ends), ingress("web", "shop")]
    world.add(*made, ingress_class("nginx", default=True))

    def names(query):
        return [one.name for one in session.ask(query, 5).items]

    assert ["web"] == names(ListServices("cluster", "shop"))
    assert ["web-x7k2p"] == names(ListEndpointSlices("cluster", "shop"))
    assert ["web"] == names(ListIngresses("cluster", "shop"))
    (found,) = session.ask(ListIngressClasses("cluster"), 5).items
    assert ("nginx", True) == (found.name, found.is_default)


def test_of_a_secret_nothing_but_its_name_leaves_the_server(world, session, api):
    applied = {"kubectl.kubernetes.io/last-applied-configuration": '{"data": {"password": "aHVudGVyMg=="}}'}
    planted = secret("shop-tls", "shop", password="aHVudGVyMg==")
    planted["metadata"]["annotations"] = applied
    world.add(planted)

    answer = session.ask(ListSecretNames("cluster", "shop"), 5)

    (request,) = [one for one in api.requests if one.path.endswith("/secrets")]
    assert "as=PartialObjectMetadataList" in request.headers["accept"]
    assert ["shop-tls"] == [one.name for one in answer.items]
    # The server sends annotations all the same; kubectl apply leaves the whole object in one.
    assert b"aHVudGVyMg" not in msgspec.json.encode(answer)
    assert "aHVudGVyMg" not in json.dumps(request.query)
