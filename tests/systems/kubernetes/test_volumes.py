"""The model of kubernetes.volumes: where the numbers come from is said, and what is asked of it."""

import msgspec
import pytest
from pydantic import ValidationError

from opscheck import KubernetesTarget, PrometheusTarget
from opscheck.systems.kubernetes.lists import KubernetesRule
from opscheck.systems.kubernetes.pods import ListPods, Pod
from opscheck.systems.kubernetes.volumes import (
    ListClaims,
    ListStorageClasses,
    ReadVolumeStats,
    VolumesHealthy,
    mounts_of,
)
from opscheck.systems.prometheus.query import PrometheusQuery
from opscheck.testing import expect

CLUSTER = KubernetesTarget(kind="kubernetes", namespace="shop")
METRICS = PrometheusTarget(kind="prometheus", base_url="https://prometheus.example.com").named("metrics")


def volumes(**fields) -> VolumesHealthy:
    return expect(VolumesHealthy, CLUSTER, severity="P1", **fields)


def refused(**fields) -> str:
    with pytest.raises(ValidationError) as caught:
        volumes(**fields)
    return caught.value.errors()[0]["msg"]


def expressions(**fields) -> list[str]:
    return [query.expression for query in volumes(prometheus=METRICS, **fields).series().values()]


def test_without_limits_on_use_nobody_but_the_api_server_is_asked():
    assert [ListClaims("target", "shop"), ListPods("target", "shop")] == list(volumes().queries())


def test_storage_classes_are_asked_beside():
    assert ListStorageClasses("target") in list(volumes().evidence_queries())
    assert ListStorageClasses("target") in list(volumes().described())


def test_use_is_asked_of_prometheus_with_one_query_a_metric():
    asked = [
        query for query in volumes(prometheus=METRICS, used="90%").described() if isinstance(query, PrometheusQuery)
    ]

    assert {"metrics"} == {query.target for query in asked}
    available = 'kubelet_volume_stats_available_bytes{namespace="shop"}'
    assert f"{available} and (time() - timestamp({available}) <= 600)" == asked[0].expression
    assert ["available", "capacity", "used"] == list(volumes(prometheus=METRICS, used="90%").series())
    assert 6 == len(expressions(used="90%", inodes="90%"))


def test_several_namespaces_are_one_query_and_every_one_needs_no_label():
    assert (
        'kubelet_volume_stats_inodes_free{namespace=~"a|b"} and' in expressions(inodes="90%", namespace=["b", "a"])[0]
    )
    assert expressions(inodes="90%", namespace="*")[0].startswith("kubelet_volume_stats_inodes_free and (")


def test_the_labels_of_a_cluster_and_of_its_namespaces_are_the_policys():
    (first, *_) = expressions(
        used="90%", prometheus_labels={"cluster": 'pr"od'}, prometheus_namespace_label="exported_namespace"
    )

    assert first.startswith('kubelet_volume_stats_available_bytes{cluster="pr\\"od",exported_namespace="shop"} and')


def test_use_is_asked_of_the_kubelets_by_an_explicit_word_alone():
    asked = list(volumes(usage_from="kubelet-proxy", used="90%").described())
    needed = {permission for query in asked for permission in query.permissions()}

    assert ReadVolumeStats("target", "shop") in asked
    (risky,) = [rule for rule in needed if rule.risk]
    assert KubernetesRule("", "nodes/proxy", "get") == risky
    assert not any(rule.risk for query in volumes().described() for rule in query.permissions())


@pytest.mark.parametrize("field", ["used", "inodes"])
def test_a_limit_on_use_without_a_source_is_refused(field):
    message = refused(**{field: "90%"})

    assert message.startswith(f"`prometheus: <target>` with `{field}`, or `usage_from: kubelet-proxy`")


def test_a_source_without_a_limit_is_refused():
    assert "a limit, `used` or `inodes`, with the source of numbers" == refused(prometheus=METRICS)
    assert "a limit, `used` or `inodes`, with the source of numbers" == refused(usage_from="kubelet-proxy")


def test_two_sources_are_refused():
    assert "`prometheus` or `usage_from`, and not both" == refused(
        prometheus=METRICS, usage_from="kubelet-proxy", used="90%"
    )


def test_labels_without_prometheus_are_refused():
    assert "`prometheus: <target>` with `prometheus_labels`" == refused(prometheus_labels={"cluster": "prod"})


def test_a_label_that_is_none_is_refused():
    fields = {"prometheus": METRICS, "used": "90%"}

    assert "the name of a label" in refused(prometheus_labels={'x"}': "1"}, **fields)
    assert "the name of a label" in refused(prometheus_namespace_label="name space", **fields)


def test_a_limit_that_nothing_can_break_is_refused():
    assert "a percentage below 100%" in refused(prometheus=METRICS, used="100%")


def test_another_kind_of_target_is_no_prometheus():
    assert "a target of kind prometheus; target is of kind kubernetes" in refused(prometheus="target", used="90%")


def test_the_default_grace_is_that_of_the_mixin_for_pods():
    assert 15 * 60 == volumes().grace


@pytest.mark.parametrize(
    ("volume", "claims"),
    [
        ({"name": "data", "persistentVolumeClaim": {"claimName": "a"}}, ["a"]),
        ({"name": "data", "ephemeral": {"volumeClaimTemplate": {}}}, ["db-0-data"]),
        ({"name": "config", "configMap": {"name": "c"}}, []),
        ({"name": "data", "persistentVolumeClaim": {}}, []),
        ({"ephemeral": {}}, []),
    ],
)
def test_the_claims_of_a_pod(volume, claims):
    pod = msgspec.convert({"metadata": {"name": "db-0"}, "spec": {"volumes": [volume]}}, Pod)

    assert claims == [mount.claim for mount in mounts_of(pod)]
