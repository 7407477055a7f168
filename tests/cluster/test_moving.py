"""A cluster that moves: what its own controllers do, opscheck sees; and what opscheck says to type mends it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from opscheck.transport.processes import wait_until
from tests.cluster.building import Programs
from tests.cluster.control_plane import Cluster
from tests.cluster.manifests import cron_job, deployment, namespace, node

SPACE = "moving"
POLICY = f"""
version: 1
environment: test
defaults: {{timeout: 10s}}
targets: {{cluster: {{kind: kubernetes, namespace: {SPACE}}}}}
expectations:
  - {{id: rollouts, check: kubernetes.rollout, target: cluster, severity: P0, while_serving: P1, grace: 2s}}
  - {{id: pods, check: kubernetes.pods, target: cluster, severity: P2, grace: 2s}}
  - {{id: schedules, check: kubernetes.cronjobs, target: cluster, severity: P2, grace: 5s, run_time: 5s}}
"""


@dataclass(frozen=True)
class Moving:
    """A cluster with its controllers, and what a person has at hand."""

    cluster: Cluster
    folder: Path
    programs: Programs

    def judged(self) -> dict[str, dict[str, Any]]:
        """The result of each expectation."""
        words = ["run", "-p", "policy.yaml", "--json", "run.json"]
        done = self._run([sys.executable, "-m", "opscheck", *words])
        assert done.returncode in {0, 1}, done.stdout + done.stderr
        return {result["id"]: result for result in json.loads((self.folder / "run.json").read_text())["results"]}

    def verdicts(self) -> dict[str, str]:
        """Verdict by id."""
        return {name: result["verdict"] for name, result in self.judged().items()}

    def type(self, command: str) -> str:
        """What a shell says to a command that was copied from a report."""
        done = self._run(["sh", "-c", command])
        assert 0 == done.returncode, done.stdout + done.stderr
        return done.stdout

    def _run(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        path = f"{self.programs.folder}{os.pathsep}{os.environ['PATH']}"
        environment = os.environ | {"KUBECONFIG": str(self.cluster.kubeconfig()), "PATH": path}
        return subprocess.run(
            words, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60, check=False
        )


@pytest.fixture(name="moving", scope="module")
def _moving(programs_that_move, folder) -> Iterator[Moving]:
    """A node, and a cron job of every minute and a deployment that are well."""
    logs = folder("moving")
    (logs / "policy.yaml").write_text(POLICY)
    with Cluster(programs_that_move, logs) as cluster:
        cluster.start_controllers()
        worker = node("worker-1")
        worker["metadata"]["labels"]["kubelet"] = "kwok"
        cluster.api.apply(worker, namespace(SPACE), API, SCHEDULED)
        cluster.api.wait_for(API, "Available")
        yield Moving(cluster, logs, programs_that_move)


API = deployment("api", SPACE, 2, progressDeadlineSeconds=3)
SCHEDULED = cron_job("report", SPACE, "* * * * *")
SLACK = timedelta(seconds=30 + 5 + 5)
"""Half of a minute, the time for a run, and the grace of its start."""


def test_stuck_rollout_is_reported_once_and_its_command_fixes_it(moving):
    api = moving.cluster.api
    assert "passed" == moving.verdicts()["rollouts"]

    api.patch(API, {"spec": {"template": {"metadata": {"labels": {"fault": "image"}}}}})
    wait_until(lambda: "ProgressDeadlineExceeded" == progress(api), 60, "the rollout does not get stuck")
    stuck = moving.judged()

    (finding,) = stuck["rollouts"]["findings"]
    assert ("api", "P1") == (finding["subject"], finding["severity"])
    (undo,) = [one for one in finding["remediation"]["commands"] if "rollout undo" in one]
    assert f"kubectl -n {SPACE} rollout undo deployment/api" == undo.partition("  #")[0]
    assert "violated" == stuck["pods"]["verdict"]
    assert [] == stuck["pods"]["findings"]

    assert "deployment.apps/api rolled back" in moving.type(undo)
    wait_until(lambda: "NewReplicaSetAvailable" == progress(api) and is_whole(api), 60, "it is not rolled back")
    wait_until(lambda: {"passed"} == {moving.verdicts()[one] for one in ("rollouts", "pods")}, 60, "it does not pass")


def progress(api) -> str:
    """What the controller says of the rollout."""
    conditions = api.get(API)["status"]["conditions"]
    return next(one["reason"] for one in conditions if one["type"] == "Progressing")


def is_whole(api) -> bool:
    found = api.get(API)
    seen = found["status"].get("observedGeneration") == found["metadata"]["generation"]
    return seen and found["status"].get("replicas") == found["status"].get("availableReplicas") == 2


def test_missed_schedule_is_violated_until_the_controllers_return(moving):
    api = moving.cluster.api
    wait_until(lambda: succeeded(api) is not None, 100, "the cron job never ran")
    moving.cluster.stop_controllers()
    last = succeeded(api)
    due = last.replace(second=0) + timedelta(minutes=1)
    assert "passed" == moving.verdicts()["schedules"]

    overdue = due + SLACK + timedelta(seconds=1)
    wait_until(lambda: datetime.now(UTC) > overdue, 150, "no time passes")
    (finding,) = moving.judged()["schedules"]["findings"]
    assert ("report", "P2") == (finding["subject"], finding["severity"])
    (rerun,) = [one for one in finding["remediation"]["commands"] if "create job --from=cronjob/report" in one]

    assert "created" in moving.type(rerun)
    moving.cluster.start_controllers()
    wait_until(lambda: succeeded(api) > last, 100, "it is not caught up")
    assert "passed" == moving.verdicts()["schedules"]


def succeeded(api) -> datetime | None:
    """When the cron job succeeded last."""
    said = api.get(SCHEDULED).get("status", {}).get("lastSuccessfulTime")
    return datetime.fromisoformat(said) if said else None
