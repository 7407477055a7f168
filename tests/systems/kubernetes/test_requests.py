"""What a pod requests of its node: the scheduler's own arithmetic, case by case."""

from fractions import Fraction

import msgspec
import pytest

from opscheck.demo.kubernetes import condition, pod
from opscheck.systems.kubernetes.pods import Pod
from opscheck.systems.kubernetes.quantities import requested
from tests.checks.kubernetes.judging_nodes import NOW


def cores(spec, status=None) -> Fraction:
    return requested(msgspec.convert({"spec": spec, "status": status}, Pod), "cpu")


def asks(name, cpu, **fields):
    return {"name": name, "resources": {"requests": {"cpu": cpu}}, **fields}


def sidecar(name, cpu):
    return asks(name, cpu, restartPolicy="Always")


APP = asks("app", "500m")


@pytest.mark.parametrize(
    ("spec", "milli"),
    [
        ({"containers": [APP, asks("proxy", "100m")]}, 600),
        ({"containers": [APP], "initContainers": [asks("migrate", "200m")]}, 500),
        ({"containers": [APP], "initContainers": [asks("migrate", "2")]}, 2000),
        ({"containers": [APP], "initContainers": [asks("one", "700m"), asks("two", "600m")]}, 700),
        ({"containers": [APP], "initContainers": [sidecar("proxy", "100m")]}, 600),
        # An init container runs beside the sidecars that were started before it, and not beside the later ones.
        ({"containers": [APP], "initContainers": [sidecar("proxy", "100m"), asks("migrate", "2")]}, 2100),
        ({"containers": [APP], "initContainers": [asks("migrate", "2"), sidecar("proxy", "100m")]}, 2000),
        ({"containers": [APP], "overhead": {"cpu": "250m"}}, 750),
        ({"containers": [APP], "resources": {"requests": {"cpu": "3"}}}, 3000),
        ({"containers": [APP], "resources": {"requests": {"memory": "3Gi"}}}, 500),
        ({"containers": [{"name": "app"}]}, 0),
        ({"containers": None, "initContainers": None}, 0),
        (None, 0),
    ],
)
def test_the_effective_request(spec, milli):
    assert Fraction(milli, 1000) == cores(spec)


def test_while_a_resize_in_place_is_on_its_way_the_larger_one_counts():
    report = {"name": "app", "resources": {"requests": {"cpu": "800m"}}}

    assert Fraction(8, 10) == cores({"containers": [APP]}, {"containerStatuses": [report]})
    assert Fraction(2) == cores({"containers": [asks("app", "2")]}, {"containerStatuses": [report]})


def test_a_resize_that_the_node_refuses_for_good_does_not_count():
    refused = condition("PodResizePending", holds=True, since=NOW, reason="Infeasible")
    report = {"name": "app", "resources": {"requests": {"cpu": "800m"}}}

    assert Fraction(8, 10) == cores(
        {"containers": [asks("app", "64")]}, {"containerStatuses": [report], "conditions": [refused]}
    )


def test_memory_is_counted_in_bytes():
    found = msgspec.convert(pod("web-1", requests={"memory": "1Gi"}, containers=("app", "proxy")), Pod)

    assert 2 * 2**30 == requested(found, "memory")
