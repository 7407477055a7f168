"""A long list holds once what its objects have in common, and says the same as before."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opscheck.core.query import Query
from opscheck.demo.kubernetes import Object, pod
from opscheck.systems.kubernetes.lists import ListObjects
from opscheck.systems.kubernetes.objects import KubernetesObject
from opscheck.systems.kubernetes.pods import Pod
from opscheck.systems.kubernetes.probe.interning import Interner
from tests.registries import BUNDLED

BUNDLED.expectation_types()  # imports every query
KINDS = sorted(name for name, query in Query.known.items() if issubclass(query, ListObjects))

names = st.sampled_from(["a", "b", "app"]) | st.none()
objects = st.fixed_dictionaries(
    {},
    optional={
        "metadata": st.fixed_dictionaries({}, optional={"name": names, "labels": st.none() | st.just({"app": "web"})}),
        "spec": st.fixed_dictionaries({}, optional={"containers": st.none() | st.just([{"image": "x"}, {}])})
        | st.none(),
        "status": st.fixed_dictionaries({}, optional={"phase": names, "conditions": st.none() | st.just([])}),
    },
)


def decoded(count: int = 2, **options: Any) -> tuple[Pod, ...]:
    """Pods as they come from a page, where no two things are the same in memory."""
    return tuple(fresh(pod(f"web-{number}", labels={"app": "web"}, **options)) for number in range(count))


def fresh(item: Object) -> Pod:
    return msgspec.json.decode(msgspec.json.encode(item), type=Pod)


def test_objects_share_what_is_equal_in_them():
    one, other = decoded(limits={"cpu": "500m"})

    Interner().intern((one, other))

    assert one.labels is other.labels
    assert one.spec.containers[0].image is other.spec.containers[0].image
    assert one.spec.containers[0].resources.limits is other.spec.containers[0].resources.limits
    assert one.status.conditions[0].type is other.status.conditions[0].type


def test_pages_share_with_the_pages_before():
    (one,), (other,) = decoded(1), decoded(1)
    interner = Interner()

    interner.intern((one,))
    interner.intern((other,))

    assert one.labels is other.labels


def test_interned_values_that_differ_stay_different():
    one, other = fresh(pod("web-1", image="app:1")), fresh(pod("web-2", image="app:2"))

    Interner().intern((one, other))

    assert ("web-1", "app:1") == (one.name, one.spec.containers[0].image)
    assert ("web-2", "app:2") == (other.name, other.spec.containers[0].image)


def test_labels_in_another_order_are_no_other_labels():
    one, other = (
        fresh(pod("a", labels={"app": "web", "tier": "1"})),
        fresh(pod("b", labels={"tier": "1", "app": "web"})),
    )

    Interner().intern((one, other))

    assert one.labels == other.labels


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_object_can_be_shared(name):
    kind: type[KubernetesObject] = Query.known[name].item
    item = msgspec.convert({"metadata": {"name": "a", "labels": {"app": "web"}}}, kind)

    Interner().intern((item,))

    assert "a" == item.metadata.name


@given(st.lists(objects, max_size=4))
def test_sharing_changes_nothing_that_an_object_says(listed):
    before = tuple(msgspec.convert(item, Pod) for item in listed)
    after = tuple(msgspec.convert(item, Pod) for item in listed)

    Interner().intern(after)

    assert before == after
