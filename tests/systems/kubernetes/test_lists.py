"""What is read of Kubernetes objects: whatever may be missing may also be null, and nothing else is looked at."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opscheck.demo.kubernetes import pod
from opscheck.systems.kubernetes.lists import KubernetesRule, ObjectList
from opscheck.systems.kubernetes.logs import LogMatches, PodLogs
from opscheck.systems.kubernetes.nodes import ListNodes
from opscheck.systems.kubernetes.pods import ListPods, Pod
from opscheck.systems.kubernetes.usage import ListNodeUsage, ListPodUsage


def test_an_object_without_any_field_is_an_object():
    empty = msgspec.convert({}, Pod)

    assert ("", "", {}) == (empty.name, empty.namespace, empty.labels)


def nulled(value, draw):
    """The same JSON with some of its fields null."""
    if isinstance(value, dict):
        return {key: None if draw(st.booleans()) else nulled(item, draw) for key, item in value.items()}
    return [nulled(item, draw) for item in value] if isinstance(value, list) else value


@given(st.data())
def test_any_field_may_be_null_or_missing(data):
    item = pod("web-1", terminated=None, waiting=data.draw(st.sampled_from([None, "ErrImagePull"])))
    # Labels and limits are maps of texts: their values are data and no fields.
    del item["metadata"]["labels" if "labels" in item["metadata"] else "uid"]
    for container in item["spec"]["containers"]:
        container["resources"] = None

    decoded = msgspec.json.decode(msgspec.json.encode(nulled(item, data.draw)), type=Pod)

    assert decoded == msgspec.json.decode(msgspec.json.encode(decoded), type=Pod)


def test_a_time_without_a_zone_is_no_time():
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"metadata": {"creationTimestamp": "2026-03-01T12:00:00"}}, Pod)


def test_unknown_fields_cost_nothing():
    padded = msgspec.json.encode(pod("web-1", padding=20_000))

    assert len(padded) / 5 > len(msgspec.json.encode(msgspec.json.decode(padded, type=Pod)))


@pytest.mark.parametrize(
    ("query", "text", "rules"),
    [
        (ListPods("t", "shop"), "list pods in namespace shop", ["list pods in namespace shop"]),
        (ListPods("t"), "list pods in every namespace", ["list pods in the cluster"]),
        (ListNodes("t"), "list nodes", ["list nodes in the cluster"]),
        (
            ListPodUsage("t", "shop"),
            "list pod metrics in namespace shop",
            ["list pods.metrics.k8s.io in namespace shop"],
        ),
        (ListNodeUsage("t"), "list node metrics", ["list nodes.metrics.k8s.io in the cluster"]),
        (
            PodLogs("t", "shop", "app=web", "error", 60),
            "count lines that match 'error' in the logs of pods with app=web in namespace shop",
            ["list pods in namespace shop", "get pods/log in namespace shop"],
        ),
        (
            PodLogs("t", None, None, "error", 60),
            "count lines that match 'error' in the logs of all pods in every namespace",
            ["list pods in the cluster", "get pods/log in the cluster"],
        ),
    ],
)
def test_a_query_says_what_it_asks_and_what_it_takes(query, text, rules):
    assert text == query.text()
    assert rules == [rule.text() for rule in query.permissions()]


def test_equal_questions_are_one():
    assert ListPods("t", "shop") == ListPods("t", "shop")
    assert hash(ListPods("t", "shop")) == hash(ListPods("t", "shop"))
    assert KubernetesRule("", "pods", "list", "a") != KubernetesRule("", "pods", "list", "b")


def test_answers_are_what_a_snapshot_can_hold():
    for answer, kind in ((ObjectList((Pod(),)), ListPods.answer), (LogMatches(pods_there=3), LogMatches)):
        assert answer == msgspec.convert(msgspec.json.decode(msgspec.json.encode(answer)), kind)
