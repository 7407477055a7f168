"""Kubernetes quantities, exactly."""

from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opscheck.demo.kubernetes import condition, pod
from opscheck.systems.kubernetes.pods import Pod
from opscheck.systems.kubernetes.quantities import doubled, parse_quantity, requested
from tests.checks.kubernetes.judging_nodes import NOW


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("2", 2),
        ("250m", Fraction(1, 4)),
        ("912450000n", Fraction(91245, 100000)),
        ("1500000u", Fraction(3, 2)),
        ("1k", 1000),
        ("1M", 10**6),
        ("3G", 3 * 10**9),
        ("1T", 10**12),
        ("1P", 10**15),
        ("1E", 10**18),
        ("1Ki", 1024),
        ("512Mi", 512 * 2**20),
        ("16393244Ki", 16393244 * 1024),
        ("1.5Gi", 3 * 2**29),
        ("1Ti", 2**40),
        ("1Pi", 2**50),
        ("1Ei", 2**60),
        ("1e3", 1000),
        ("1E3", 1000),
        ("12e-1", Fraction(6, 5)),
        (".5", Fraction(1, 2)),
        ("5.", 5),
        ("-1", -1),
        ("+1", 1),
        ("9223372036854775807", 9223372036854775807),
    ],
)
def test_a_quantity_is_read_without_rounding(text, number):
    assert number == parse_quantity(text)


@pytest.mark.parametrize("text", ["", "m", "1K", "1ki", "1mi", "1 Gi", "1Gib", "0x10", "1e999", "1,5", "nan", "1" * 65])
def test_invalid_quantity_is_an_error(text):
    with pytest.raises(ValueError, match="invalid quantity"):
        parse_quantity(text)


@given(st.integers(0, 10**15), st.sampled_from(["", "m", "k", "M", "Ki", "Mi", "Gi"]))
def test_a_doubled_quantity_is_twice_as_much(number, unit):
    assert 2 * parse_quantity(f"{number}{unit}") == parse_quantity(doubled(f"{number}{unit}"))


def test_a_doubled_quantity_keeps_its_unit():
    assert "1024Mi" == doubled("512Mi")
    assert "3Gi" == doubled("1.5Gi")
    assert doubled("lots") is None


# What a pod requests of its node: the scheduler's own arithmetic, case by case


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
