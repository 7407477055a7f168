"""What `opscheck init` proposes for the backups of a namespace."""

import pytest

from opscheck.core.discovery import Cluster
from opscheck.demo.kubernetes import KubernetesApi, World, cronjob, statuses, velero_schedule
from tests.servers.discovering import discovered


@pytest.fixture(name="find")
def _find(tmp_path, monkeypatch):
    with KubernetesApi(World()) as api:
        monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig(tmp_path / "config", namespace="shop")))

        def find(*objects, prepare=lambda _api: None):
            api.world.add(*objects)
            prepare(api)
            return discovered("backup", cluster=Cluster())

        yield find


@pytest.mark.parametrize(
    ("schedule", "age"),
    [
        ("*/15 * * * *", {"P2": "45m", "P1": "60m"}),
        ("0 * * * *", {"P2": "90m", "P1": "150m"}),
        ("0 2 * * *", {"P2": "26h", "P1": "50h"}),
        ("0 2 * * 1-5", {"P2": "4d", "P1": "7d"}),
        ("0 2 * * 0", {"P2": "8d", "P1": "15d"}),
        ("no schedule", {"P2": "26h", "P1": "50h"}),
        ("0 0 31 2 *", {"P2": "26h", "P1": "50h"}),
    ],
)
def test_age_follows_from_the_longest_pause_of_the_schedule(find, schedule, age):
    (proposal,) = find(cronjob("db-backup", "shop", schedule=schedule)).proposals

    assert proposal.fields == {"age": age}


@pytest.mark.parametrize(
    ("name", "id_"),
    [("db-backup", "db-backup-shop"), ("pg-dump", "backup-pg-dump-shop"), ("backups", "backups-shop")],
)
def test_cron_job_that_is_named_so_is_proposed(find, name, id_):
    (proposal,) = find(cronjob(name, "shop")).proposals

    assert (proposal.id, proposal.check, proposal.target) == (id_, "backup.jobs", "kubernetes-shop")
    assert proposal.selector == {"tool": "cronjob", "name": name, "namespace": None, "selector": None}


@pytest.mark.parametrize("name", ["report", "dumpling", "core-dumper"])
def test_other_cron_job_is_not_proposed(find, name):
    assert find(cronjob(name, "shop")).proposals == ()


def test_schedule_of_velero_is_proposed(find):
    (proposal,) = find(velero_schedule("nightly")).proposals

    assert proposal.selector["tool"] == "velero"
    assert proposal.fields == {"age": {"P2": "26h", "P1": "50h"}}
    assert proposal.reason.startswith("Velero's schedule nightly is due at least every 1d. ")


@pytest.mark.parametrize(
    ("template", "proposed"),
    [
        ({"includedNamespaces": ["*"]}, True),
        ({"includedNamespaces": ["shop", "web"]}, True),
        ({"includedNamespaces": ["web"]}, False),
        ({"excludedNamespaces": ["shop"]}, False),
    ],
)
def test_schedule_of_velero_counts_where_it_saves_the_namespace(find, template, proposed):
    made = velero_schedule("nightly")
    made["spec"]["template"] |= template

    assert bool(find(made).proposals) is proposed


def test_denied_schedules_of_velero_are_reported(find):
    found = find(cronjob("db-backup", "shop"), prepare=lambda api: api.deny("schedules"))

    assert [one.id for one in found.proposals] == ["db-backup-shop"]
    (sentence,) = found.not_seen
    assert sentence.startswith("kubernetes-shop: Velero's schedules not read: ")


def test_cluster_without_velero_is_not_reported(find):
    found = find(prepare=lambda api: api.answer("/apis/velero.io", statuses.unknown_path()))

    assert (found.proposals, found.not_seen) == ((), ())


def test_unreachable_server_is_left_to_the_discovery_of_kubernetes(find):
    found = find(prepare=lambda api: api.close())

    assert (found.targets, found.proposals, found.not_seen) == ((), (), ())
