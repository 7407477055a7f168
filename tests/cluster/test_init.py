"""`opscheck init` on a namespace of a real API server: what it writes is valid, and can be judged there."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.control_plane import Cluster
from tests.cluster.manifests import made, one_of_each

SPACE = "init"
PLANTED = "cGxhbnRlZC1rZXk="
NEEDED = {f"kubernetes.{one}" for one in ("cronjobs", "ingresses", "pods", "rollout", "services", "volumes")}


@pytest.fixture(name="opscheck", scope="module")
def _opscheck(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[int, str]]:
    measured = ("PodMetrics", "NodeMetrics")
    cluster.api.apply(*(one for one in one_of_each(SPACE) if one["kind"] not in measured))
    cluster.api.apply(made("Secret", "planted", SPACE, type="Opaque", data={"key": PLANTED}))
    folder = tmp_path_factory.mktemp("init")

    def opscheck(*words: str, token: str | None = None) -> tuple[int, str]:
        """Exit code and output; no output may have what is in a secret."""
        env = os.environ | {"KUBECONFIG": str(cluster.kubeconfig(token=token))}
        command = [sys.executable, "-m", "opscheck", *words]
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False)
        assert PLANTED not in done.stdout + done.stderr
        return done.returncode, done.stdout + done.stderr

    opscheck.folder = folder  # type: ignore[attr-defined]  # where its files are
    return opscheck


def test_policy_of_a_real_namespace_is_valid_and_judged(opscheck: Callable[..., tuple[int, str]]) -> None:
    folder: Path = opscheck.folder  # type: ignore[attr-defined]
    code, output = opscheck("init", "--namespace", SPACE)
    assert code == 0, output
    text = (folder / "opscheck.yaml").read_text()
    assert f"kubernetes-{SPACE}: {{kind: kubernetes, namespace: {SPACE}}}" in text
    assert PLANTED not in text

    assert opscheck("validate")[0] == 0
    code, output = opscheck("run", "--json", "run.json")
    results = json.loads((folder / "run.json").read_text())["results"]
    assert {one["check"] for one in results} >= NEEDED
    # Nothing moves in this cluster, so that its pods are never ready; each expectation has a verdict all the same.
    assert {one["verdict"] for one in results} <= {"passed", "violated"}, output

    code, output = opscheck("init", "--namespace", SPACE, "--diff", "opscheck.yaml")
    assert code == 0, output
    assert "opscheck.yaml: nothing new" in output


def test_account_without_rights_is_reported_with_its_grants(
    opscheck: Callable[..., tuple[int, str]], cluster: Cluster
) -> None:
    cluster.api.apply(made("ServiceAccount", "nobody", SPACE))

    code, output = opscheck("init", "--namespace", SPACE, "-o", "-", token=cluster.api.token("nobody", SPACE))

    assert code == 21, output
    assert 'resources: ["deployments"], verbs: ["list"]' in output
