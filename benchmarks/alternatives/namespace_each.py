"""The fifty checks of one namespace as plain pytest tests with the official client; each sends its own requests."""
# ruff: noqa: S101 - pytest tests assert

import os
from collections.abc import Iterator

import pytest
from kubernetes import client, config

NAMESPACE = "shop"
APPLICATIONS = ("api", "worker", "web")
PODS, USAGE, LOGS = (int(number) for number in os.environ["BENCH_MIX"].split(","))


@pytest.fixture(scope="session")
def cluster() -> Iterator[client.ApiClient]:
    config.load_kube_config(os.environ["BENCH_KUBECONFIG"])
    with client.ApiClient() as connected:
        yield connected


def _pods(cluster: client.ApiClient, number: int) -> list[client.V1Pod]:
    selector = f"app={APPLICATIONS[number % len(APPLICATIONS)]}"
    pods: list[client.V1Pod] = client.CoreV1Api(cluster).list_namespaced_pod(NAMESPACE, label_selector=selector).items
    return pods


@pytest.mark.parametrize("number", range(PODS))
def test_pods_run(cluster: client.ApiClient, number: int) -> None:
    assert {"Running"} == {pod.status.phase for pod in _pods(cluster, number)}


@pytest.mark.parametrize("number", range(USAGE))
def test_usage_is_known(cluster: client.ApiClient, number: int) -> None:
    limits = {pod.metadata.name: pod.spec.containers[0].resources.limits for pod in _pods(cluster, number)}
    metrics = client.CustomObjectsApi(cluster)
    used = metrics.list_namespaced_custom_object("metrics.k8s.io", "v1beta1", NAMESPACE, "pods")

    assert set(limits) <= {item["metadata"]["name"] for item in used["items"]}


@pytest.mark.parametrize("number", range(LOGS))
def test_no_errors_are_logged(cluster: client.ApiClient, number: int) -> None:
    core = client.CoreV1Api(cluster)
    for pod in _pods(cluster, number):
        text = core.read_namespaced_pod_log(pod.metadata.name, NAMESPACE, since_seconds=3600)

        assert "error" not in text
