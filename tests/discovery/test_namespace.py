"""The policy that `opscheck init` writes for a namespace, whole."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from opscheck.demo.kubernetes import (
    KubernetesApi,
    World,
    autoscaler,
    certificate,
    claim,
    cronjob,
    deployment,
    disruption_budget,
    endpoint_slice,
    ingress,
    pod,
    quota,
    secret,
    service,
    stateful_set,
    velero_schedule,
)

GOLDEN = Path(__file__).with_name("golden") / "namespace.yaml"
SUCCESS = datetime(2026, 3, 1, 2, 4, tzinfo=UTC)
PLANTED = "cGxhbnRlZC1rZXk="


def world() -> World:
    """One of each kind of object."""
    return World(
        deployment("web", "shop"),
        stateful_set("db", "shop"),
        pod("web-6f7b9d5c4-xk2lp", "shop"),
        service("web", "shop", selector={"app": "web"}),
        endpoint_slice("web", "shop"),
        ingress("web", "shop", host="*.example.com", tls={"web-tls": ["*.example.com"]}),
        claim("data-db-0", "shop"),
        cronjob("db-backup", "shop", schedule="0 2 * * *", succeeded=SUCCESS),
        cronjob("report", "shop", schedule="0 6 * * 1", suspend=True, succeeded=SUCCESS),
        certificate("web", "shop"),
        autoscaler("web", "shop"),
        disruption_budget("web", "shop"),
        quota("everything", "shop", hard={"pods": "50"}, used={"pods": "6"}),
        secret("web-tls", "shop", **{"tls.key": PLANTED}),
        velero_schedule("nightly"),
    )


@pytest.fixture(name="init")
def _init(tmp_path, interpreter):
    with KubernetesApi(world()) as api:
        config = str(api.kubeconfig(tmp_path / "config", namespace="shop"))
        env = {**os.environ, "KUBECONFIG": config}

        def init(*words):
            return interpreter("opscheck", "init", "--namespace", "shop", *words, cwd=tmp_path, env=env)

        yield init


def test_policy_of_a_namespace_is_the_golden_one(init):
    written = init("-o", "-", "--date", "2026-03-02")

    assert written.returncode == 0, written.stderr
    assert written.stdout == GOLDEN.read_text()
    assert PLANTED not in written.stdout + written.stderr
    assert "kubernetes-shop: host *.example.com of an ingress not proposed: name a host" in written.stderr


def test_names_that_change_by_themselves_are_not_in_the_policy():
    text = GOLDEN.read_text()

    assert [one for one in ("xk2lp", "6f7b9d5c4", "127.0.0.1") if one in text] == []
