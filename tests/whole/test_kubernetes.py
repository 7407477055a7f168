"""The shipped policy of a whole namespace: it passes on a healthy one, and asks a bounded number of questions."""

import json
import os
from functools import partial
from pathlib import Path

import pytest

from opscheck.bundle import bundled
from opscheck.demo import cluster
from opscheck.demo.kubernetes import KubernetesApi, World
from tests.servers.interpreters import Interpreter

MOST_REQUESTS = 27
POLICY = f"""
version: 1
environment: test
extends: {bundled("policies") / "kubernetes.yaml"}
expectations:
  - {{id: names, skip: nothing resolves names here}}
"""


@pytest.fixture(name="world")
def _world() -> World:
    return cluster.build()


@pytest.fixture(name="api")
def _api(world):
    with KubernetesApi(world) as api:
        yield api


@pytest.fixture(name="run")
def _run(interpreter: Interpreter, tmp_path: Path):
    return partial(run, interpreter, tmp_path)


def run(interpreter: Interpreter, folder: Path, *words: str, **variables: str) -> tuple[int, str, dict]:
    (folder / "policy.yaml").write_text(POLICY)
    done = interpreter(
        *("opscheck", "run", "-p", "policy.yaml", "--json", "run.json", *words),
        cwd=folder,
        env=os.environ | {"NAMESPACE": cluster.NAMESPACE} | variables,
    )
    return done.returncode, done.stdout + done.stderr, json.loads((folder / "run.json").read_text())


def verdicts(record: dict) -> dict[str, str]:
    return {result["id"]: result["verdict"] for result in record["results"]}


def test_healthy_namespace_passes_with_a_bounded_number_of_requests(api, run, tmp_path):
    kubeconfig = str(api.kubeconfig(tmp_path / "config"))

    code, out, record = run(KUBECONFIG=kubeconfig)

    assert 0 == code, out
    assert {"passed", "skipped"} == set(verdicts(record).values()), out
    assert all(result["measurements"] for result in record["results"] if result["id"] != "names")
    assert len(api.requests) <= MOST_REQUESTS, sorted(request.path for request in api.requests)
    assert len(api.requests) == len({(request.path, str(request.query)) for request in api.requests})


def test_report_names_the_cluster_and_the_user(api, run, tmp_path):
    _, out, record = run(KUBECONFIG=str(api.kubeconfig(tmp_path / "config")))

    (asked,) = [target for target in record["targets"] if target["name"] == "cluster"]
    user = "system:serviceaccount:opscheck:opscheck"
    assert (f"{api.url} (context demo)", user) == (asked["place"], asked["user"])
    assert "the token of user opscheck" == asked["authenticated_by"]
    assert f"{api.url} (context demo) as {user}" in " ".join(out.split())


def test_snapshot_of_a_broken_namespace_gives_the_same_verdicts(api, world, run, tmp_path):
    cluster.break_pods(world)
    code, out, live = run("--save", "snapshot.json", KUBECONFIG=str(api.kubeconfig(tmp_path / "config")))

    again, _, record = run("--from", "snapshot.json", KUBECONFIG="/nowhere")

    assert 1 == code == again, out
    assert verdicts(live) == verdicts(record)
    assert live["targets"] == record["targets"]
    assert [result["blocked_by"] for result in live["results"]] == [one["blocked_by"] for one in record["results"]]


def test_consequence_of_a_stuck_rollout_names_it_and_stays_violated(api, world, run, tmp_path):
    cluster.break_pods(world)

    _, out, record = run(KUBECONFIG=str(api.kubeconfig(tmp_path / "config")))

    results = {result["id"]: result for result in record["results"]}
    assert ("violated", []) == (results["rollouts"]["verdict"], results["rollouts"]["consequences"])
    assert ("violated", "rollouts", []) == tuple(results["pods"][key] for key in ("verdict", "blocked_by", "findings"))
    assert "1 of 3 pods available" in results["rollouts"]["findings"][0]["observed"], out
