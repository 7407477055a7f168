"""The top owner of a pod: what a person would roll back."""

import msgspec
import pytest

from opscheck.demo.kubernetes import pod
from opscheck.systems.kubernetes.objects import Owner
from opscheck.systems.kubernetes.pods import Pod


def owned_by(owner, **labels) -> Pod:
    return msgspec.convert(pod("web-1", owner=owner, labels=labels), Pod)


@pytest.mark.parametrize(
    ("owner", "labels", "top"),
    [
        ("ReplicaSet/web-7d4b9c6f5d", {"pod-template-hash": "7d4b9c6f5d"}, "deployment/web"),
        ("ReplicaSet/web-7d4b9c6f5d", {}, "deployment/web"),
        ("ReplicaSet/web-cluster", {}, "replicaset/web-cluster"),
        ("ReplicaSet/web-db", {}, "replicaset/web-db"),
        ("ReplicaSet/web", {"pod-template-hash": "7d4b9c6f5d"}, "replicaset/web"),
        ("StatefulSet/db", {}, "statefulset/db"),
        ("DaemonSet/logs", {}, "daemonset/logs"),
        ("Job/migration", {}, "job/migration"),
        ("Job/backup-29401320", {}, "cronjob/backup"),
        ("Rollout/web", {}, "rollout/web"),
        ("Node/node-1", {}, ""),
        (None, {}, ""),
    ],
)
def test_the_top_owner_is_told_from_the_pod_alone(owner, labels, top):
    assert top == owned_by(owner, **labels).top_owner


def test_an_owner_that_does_not_control_is_none():
    garden = msgspec.convert({"metadata": {"ownerReferences": [{"kind": "ConfigMap", "name": "a"}]}}, Pod)

    assert "" == garden.top_owner


def test_an_owner_without_kind_or_name_is_none():
    odd = msgspec.convert({"metadata": {"ownerReferences": [{"controller": True}]}}, Pod)

    assert Owner(controller=True) == odd.metadata.owner_references[0]
    assert "" == odd.top_owner


def test_pods_of_jobs_are_known():
    assert owned_by("Job/migration").is_of_job
    assert not owned_by("StatefulSet/db").is_of_job
    assert not Pod().is_of_job
