"""A cluster that refuses, stutters or says nothing: every check of it is unknown, in time, and never passed."""

import json
import os
from functools import partial
from pathlib import Path

import pytest

from opscheck.bundle import bundled
from opscheck.demo import cluster
from opscheck.demo.kubernetes import KubernetesApi, scripts, statuses
from tests.servers.interpreters import Interpreter

POLICY = bundled("policies") / "kubernetes.yaml"
PATIENCE_S = 2

IMPATIENT = f"""
version: 1
environment: test
extends: {POLICY}
defaults: {{timeout: {PATIENCE_S}s}}
expectations:
  - {{id: names, skip: it asks a host too}}
"""

ANSWERS = {
    "401": (statuses.unauthorized(), "(401); it authenticated with the token of user opscheck"),
    "403": (statuses.status(403, "Forbidden", "forbidden by policy"), "(403)"),
    "404": (statuses.unknown_path(), "does not serve"),
    "410": (statuses.expired(None), "with 410"),
    "429": (statuses.too_many_requests(retry_after=60), "requests a wait of 60 s"),
    "500": (statuses.status(500, "InternalError", "etcdserver: request timed out"), "etcdserver: request timed out"),
    "503": (statuses.unavailable(), "503"),
    "a sign-in page": (scripts.html(), "not a list of objects"),
    "half a document": (scripts.respond_with(200, b'{"kind": "PodList", "items": [{"meta'), "not a list of objects"),
    "half a body": (scripts.truncated(), "broke off"),
    "a byte a second": (scripts.trickle(), f"did not end in {PATIENCE_S} s"),
    "nothing": (scripts.never(), f"no answer in {PATIENCE_S} s"),
}


@pytest.fixture(name="api")
def _api():
    with KubernetesApi(cluster.build()) as api:
        yield api


@pytest.fixture(name="judge")
def _judge(api: KubernetesApi, tmp_path: Path, interpreter: Interpreter):
    return partial(judge, interpreter, api, tmp_path)


def judge(interpreter: Interpreter, api: KubernetesApi, folder: Path) -> tuple[int, str, dict]:
    (folder / "impatient.yaml").write_text(IMPATIENT)
    # It ends by itself long before: opening takes one time-out at most, and all questions together another one.
    done = interpreter(
        *("opscheck", "run", "-p", "impatient.yaml", "--json", "run.json"),
        cwd=folder,
        env=os.environ | {"KUBECONFIG": str(api.kubeconfig(folder / "config")), "NAMESPACE": cluster.NAMESPACE},
        timeout=10 * PATIENCE_S + 30,
    )
    return done.returncode, done.stdout + done.stderr, json.loads((folder / "run.json").read_text())


def are_lists(request) -> bool:
    return request.path not in {"/version", "/apis/authentication.k8s.io/v1/selfsubjectreviews"}


@pytest.mark.parametrize(("answer", "reason"), ANSWERS.values(), ids=ANSWERS)
def test_missing_list_never_passes(api, judge, answer, reason):
    api.answer("/", answer, when=are_lists)

    code, out, run = judge()

    assert 20 == code, out
    assert {"unknown"} == {result["verdict"] for result in run["results"]} - {"skipped"}
    assert any(reason in result["summary"] for result in run["results"]), out
    assert run["duration_s"] < 3 * PATIENCE_S + 10


@pytest.mark.parametrize("answer", [scripts.never(), scripts.trickle(head_too=True), statuses.unavailable()])
def test_unreachable_server_is_one_outage(api, judge, answer):
    api.answer("/", answer)

    code, out, run = judge()

    carrier, *blocked = [result for result in run["results"] if result["id"] != "names"]
    assert 20 == code, out
    assert carrier["blocked_by"] is None
    assert {carrier["id"]} == {result["blocked_by"] for result in blocked}
    assert {"unknown"} == {result["verdict"] for result in (carrier, *blocked)}
